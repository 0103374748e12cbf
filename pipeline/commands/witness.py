"""How `tocsin status` says what the witness of the log has seen."""

from datetime import datetime

from pydantic import BaseModel

from pipeline.audit.witnessed import witnessed
from pipeline.replay.spans import counted, span
from pipeline.settings import Settings
from schemas.base import Instant, rfc3339

LATE_S = 60.0
"""A witness cosigns within seconds; one that is behind and was silent for so long is away, or refuses."""


class Following(BaseModel):
    """How far the witness has followed the log: entries signed for, entries seen, and when it cosigned last.

    `late`: it has not seen all, and has been silent for a while.
    """

    signed: int
    seen: int
    at: Instant | None
    late: bool


def following(settings: Settings, now: datetime) -> Following | None:
    """The witness of the log that is sealed on this data directory; None where there is none."""
    if (told := witnessed(settings.data_dir)) is None:
        return None
    late = told.behind > 0 and (told.at is None or (now - told.at).total_seconds() > LATE_S)
    return Following(signed=told.signed, seen=told.seen, at=told.at, late=late)


def line_of(found: Following, now: datetime) -> str:
    """As a line for the terminal."""
    when = "it never cosigned"
    if found.at is not None:
        when = f"cosigned last at {rfc3339(found.at)}, {span((now - found.at).total_seconds())} ago"
    if found.seen >= found.signed:
        return f"witness   has seen all {counted(found.signed, 'entry', 'entries')}; {when}"
    lag = f"has not seen the last {found.signed - found.seen} of {counted(found.signed, 'entry', 'entries')}"
    if not found.late:
        return f"witness   {lag}; {when}"
    return f"[red]witness   {lag}; {when}[/red]: see whether it runs; the record room's log says why it did not cosign"
