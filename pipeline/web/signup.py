"""Signing up: what a form comes to. Whoever signs up hears nothing until they have confirmed that an address is theirs.

The service knows nobody: a known address and an unknown one come to the same records, and to the same answer. That two
who have one address are one is found when they have confirmed it (`agents.joining`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pipeline import subscribers
from pipeline.registrations import Refused, registration
from pipeline.subscribers import Registration
from pipeline.vault import Vault
from schemas.base import Channel, Level
from schemas.codec import Outgoing
from schemas.ids import derived
from schemas.subscriber import SIGNED_UP, Frequency

FIELDS = {Channel.EMAIL: "email", Channel.SMS: "phone"}
TRAP = "website"
"""A field that no person sees, and that programs fill in."""
LANGUAGES = ("en", "de")
LEVELS = ("", Level.PUBLIC.value)
"""As much as their audience may see, or the least."""
ONCE_S = 3600


@dataclass(frozen=True, slots=True)
class SignUp:
    """One address that wants to be told: its id, and the records that ask its owner."""

    id: str
    key: Outgoing
    event: Outgoing


def read(form: Mapping[str, str], audience: str, channels: tuple[Channel, ...]) -> list[Registration]:
    """What a form asks for: a registration for each address in it. Raises Refused, naming the field."""
    chosen: dict[str, Any] = {
        "audiences": [audience],
        "language": _one_of(form, "language", LANGUAGES),
        "frequency": _one_of(form, "frequency", tuple(Frequency)),
        "time_zone": form.get("time_zone", "").strip() or "UTC",
        "office_hours_only": form.get("office_hours_only") == "yes",
    }
    if level := _one_of(form, "level", LEVELS):
        chosen["level"] = level
    given = {FIELDS[channel]: form.get(FIELDS[channel], "").strip() for channel in channels}
    found = [registration({**chosen, field: text}) for field, text in given.items() if text]
    if not found:
        raise Refused("address: none was given")
    return found


def _one_of(form: Mapping[str, str], field: str, there: tuple[str, ...]) -> str:
    if (said := form.get(field, there[0])) not in there:
        raise Refused(f"{field}: one of {', '.join(there)}")
    return said


def name_for(vault: Vault, row: Registration, at: datetime) -> str:
    """The id of somebody who signs up: of one address it is the same for an hour, so that nobody is flooded by being
    signed up again and again, and another one after that, so that nobody changes what somebody else has confirmed.
    """
    addresses = sorted(subscribers.address_tokens(vault, row.contact).items())
    return SIGNED_UP + derived("sign-up", int(at.timestamp()) // ONCE_S, *(part for pair in addresses for part in pair))


def sign_up(vault: Vault, row: Registration, id_: str, at: datetime, source: str) -> SignUp:
    """The records; the key must be acknowledged before the event is written."""
    key, event = subscribers.subscribed(vault, row, id_, unconfirmed=row.choices.channels)
    return SignUp(id_, subscribers.key_record(id_, key, at, source), subscribers.event_record(id_, event, at, source))
