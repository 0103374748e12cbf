"""Compose: the words, once per audience and channel, from templates that see only what the audience may see.

`content.j2` says everything once, as plain text: status, lead, sections, closing words. The mail templates lay the
same content out as text and as HTML, so both parts say the same. A short template (SMS, X) sets `head`, `body` and
`tail`; the body is cut to what fits, head and tail stay.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jinja2 import TemplateError

from pipeline.decide.audience import Telling
from pipeline.decide.state import IncidentState
from pipeline.decide.view import UNSUBSCRIBE, Known, view
from pipeline.errors import PolicyError
from pipeline.policy import Policy
from pipeline.text.cut import cut_at_sentence
from pipeline.text.post import MAX_WEIGHT, weighted_length
from pipeline.text.sms import measure, to_gsm7
from schemas.base import Channel
from schemas.rendering import EmailContent, PostContent, Rendering, SmsContent, rendering_of

MAX_SEGMENTS = 2
SUBJECT_CHARACTERS = 120
HEAD_CHARACTERS = 90
"""A title longer than this is shortened where every character counts."""


@dataclass(frozen=True, slots=True)
class Occasion:
    """What a notice is about: what is known now, and what this audience was told last."""

    seq: int
    at: datetime
    known: Known
    before: Known
    over: bool


def compose(state: IncidentState, telling: Telling, occasion: Occasion, policy: Policy) -> tuple[Rendering, ...]:
    """One rendering for each channel of `telling`. Raises `PolicyError` where a template fails."""
    writer = _Writer(state, telling, occasion, policy)
    return tuple(writer.write(channel) for channel in telling.channels)
