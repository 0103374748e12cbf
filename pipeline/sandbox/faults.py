"""Which failures the doubles can be told to show, and the book of those that are armed."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

Service = Literal["smtp", "twilio", "x"]
Stage = Literal["connect", "mail", "rcpt", "data"]

KINDS: dict[Service, dict[str, str]] = {
    "smtp": {
        "refuse": "answers `code` at `stage`; 421 also closes, as RFC 5321 section 3.8 asks",
        "lose_in_data": "the connection breaks in the middle of the message; nothing is kept",
        "lose_after_dot": "the message is kept, then the connection breaks instead of a reply",
        "hang_after_dot": "the message is kept, and no reply ever comes",
        "slow": "replies after `seconds` at `stage` (unset: at each)",
        "dribble": "replies one byte every `seconds` at `stage` (unset: at each): time-outs per read never fire",
    },
    "twilio": {
        "error": "Twilio's error `code`; nothing is kept",
        "error_after_accept": "the message is kept, yet error `code` is answered",
        "problem": "error `code` in an RFC 9457 body; nothing is kept",
        "html": "HTTP status `code` with a page of HTML; nothing is kept",
        "reset": "the connection is reset; nothing is kept",
        "reset_after_accept": "the message is kept, then the connection is reset",
        "hang_after_accept": "the message is kept, and no answer ever comes",
        "undelivered": "accepted, sent, and at last undelivered with `code` (unset: 30005)",
        "failed": "accepted, and at last failed with `code` (unset: 30005)",
        "duplicate_callbacks": "each status callback comes twice",
        "reorder_callbacks": "the status callbacks come last first",
        "stuck": "stays in its first status until told to go on",
    },
    "x": {
        "duplicate": "403 for duplicate content although there is none",
        "reply_refused": "403 for a reply to somebody who did not ask for one",
        "rate_limit": "429 until `seconds` from now (unset: a whole window)",
        "empty_rate_limit": "the same with an empty body",
        "html": "HTTP status `code` (unset: 503) with a page of HTML; nothing is kept",
        "reset": "the connection is reset; nothing is kept",
        "reset_after_accept": "the post is kept, then the connection is reset",
        "hang_after_accept": "the post is kept, and no answer ever comes",
    },
}
"""Service, then kind, then what happens."""

NEEDS_CODE = {("smtp", "refuse"), ("twilio", "error"), ("twilio", "error_after_accept"), ("twilio", "problem")}
NEEDS_SECONDS = {("smtp", "slow"), ("smtp", "dribble")}


class Fault(BaseModel):
    """One failure to show, `times` times (None: until cleared), after `after` matching occasions went well.

    `match` must be part of what the occasion is about. SMTP: nothing at connect, the sender at MAIL, the recipient at
    RCPT, recipients and headers at DATA. Twilio: the number and the body. X: the text.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    service: Service
    kind: str
    stage: Stage | None = None
    code: int | None = None
    seconds: Annotated[float | None, Field(ge=0)] = None
    retry_after: Annotated[int | None, Field(ge=0, description="seconds, for Twilio's 429")] = None
    times: Annotated[int | None, Field(ge=1)] = 1
    after: Annotated[int, Field(ge=0)] = 0
    match: str | None = None

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        kinds = KINDS[self.service]
        if self.kind not in kinds:
            raise ValueError(f"{self.service} cannot fail by {self.kind!r}; it can by {', '.join(kinds)}")
        named = (self.service, self.kind)
        if named in NEEDS_CODE and self.code is None:
            raise ValueError(f"{self.service} {self.kind} needs a code")
        if named in NEEDS_SECONDS and self.seconds is None:
            raise ValueError(f"{self.service} {self.kind} needs seconds")
        if named == ("smtp", "refuse") and self.stage is None:
            raise ValueError("smtp refuse needs a stage: connect, mail, rcpt or data")
        return self

    def concerns(self, service: Service, kinds: Collection[str], stage: Stage | None, subject: str) -> bool:
        """Whether an occasion is one of this fault's."""
        return (
            self.service == service
            and self.kind in kinds
            and (self.stage is None or self.stage == stage)
            and (self.match is None or self.match in subject)
        )


@dataclass
class Armed:
    """A fault and how far it has come."""

    fault: Fault
    seen: int = 0
    fired: int = 0

    @property
    def left(self) -> int | None:
        """How often it will still fire; None: until cleared."""
        return None if self.fault.times is None else self.fault.times - self.fired


class FaultBook:
    """The armed faults in the order given; `on_fire` hears of each that fires, with what it hit."""

    def __init__(self, on_fire: Callable[[Fault, str], None]) -> None:
        self._on_fire = on_fire
        self.armed: list[Armed] = []

    def arm(self, fault: Fault) -> None:
        """From now on."""
        self.armed.append(Armed(fault))

    def clear(self) -> None:
        """Nothing fails on purpose any more."""
        self.armed.clear()

    def take(
        self, service: Service, kinds: Collection[str], *, stage: Stage | None = None, subject: str = ""
    ) -> Fault | None:
        """The fault that is due on this occasion, counted as fired; None: all goes well."""
        for armed in self.armed:
            if armed.left == 0 or not armed.fault.concerns(service, kinds, stage, subject):
                continue
            armed.seen += 1
            if armed.seen > armed.fault.after:
                armed.fired += 1
                self._on_fire(armed.fault, subject)
                return armed.fault
        return None

    def state(self) -> list[dict[str, Any]]:
        """For GET /faults: a fault matrix must be able to tell that each fault fired."""
        return [
            {"fault": armed.fault.model_dump(exclude_none=True), "fired": armed.fired, "left": armed.left}
            for armed in self.armed
        ]
