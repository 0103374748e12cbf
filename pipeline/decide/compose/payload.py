"""What a program is told: the facts that this reader may see, as JSON; moments in UTC, so that no zone is needed.

The envelope is that of Standard Webhooks: `type`, `timestamp`, `data`. Facts have the names that events give them.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pipeline.decide.compose.page import Page, one_line
from pipeline.decide.compose.slots import spaced_out
from schemas.base import Channel, rfc3339
from schemas.rendering import UTC, Moments, WebhookContent


def payload(page: Page) -> tuple[WebhookContent, Moments]:
    """The body, byte for byte as it will be signed; the same in every zone."""
    said = page.said
    unsaid = () if Channel.WEBHOOK in page.updated else ("next_update_at",)  # promised only where updates are told

    def in_utc(text: str) -> str:
        return one_line(page.slots.filled(text, lambda number: page.slots.words(number, plain=False, zones=(UTC,))[0]))

    about = {
        "incident": said["incident"],
        "seq": said["seq"],
        "revision": said["revision"],
        "audience": said["audience"],
        "level": said["level"],
        "language": page.language,
        "maintenance": said["maintenance"],
        "over": said["over"],
        "status": in_utc(said["status"]),
        "text": in_utc(said["news"]),
        "facts": _stated({name: fact for name, fact in said["it"].items() if name not in unsaid}),
    }
    body = {"type": f"incident.{said['kind']}", "timestamp": rfc3339(said["at"]), "data": about}
    return WebhookContent(text=spaced_out(json.dumps(body, ensure_ascii=False, separators=(",", ":")))), {}


def _stated(value: Any) -> Any:
    """What is known, as JSON has it; what nobody has said is left out."""
    if isinstance(value, datetime):
        return rfc3339(value)
    if isinstance(value, Mapping):
        return {str(name): _stated(one) for name, one in value.items() if one is not None}
    if isinstance(value, list | tuple | set | frozenset):
        return [_stated(one) for one in value]
    return value
