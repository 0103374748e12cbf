"""Deterministic ids: the same cause gives the same id, on every worker and after every crash."""

import hashlib
from collections.abc import Callable


def derived(*parts: str | int) -> str:
    """128 bits of SHA-256 over `parts`, each led by its length, as 32 hexadecimal digits."""
    return hashlib.sha256(b"".join(map(_led, parts))).hexdigest()[:32]


def _led(part: str | int) -> bytes:
    raw = str(part).encode("utf-8", "surrogatepass")
    return len(raw).to_bytes(4, "big") + raw


def notice_id(incident: str, seq: int, audience: str, corrects: int | None = None) -> str:
    """The notice of one audience at one journal entry; several where several earlier ones are corrected."""
    return derived("notice", incident, seq, audience, *(() if corrects is None else (corrects,)))


def intent_id(incident: str, seq: int, recipient: str, channel: str) -> str:
    """One notice for one recipient on one channel; who belongs to two audiences is told once, so no audience in it."""
    return intent_ids(incident, seq, channel)(recipient)


def intent_ids(incident: str, seq: int, channel: str) -> Callable[[str], str]:
    """`intent_id` of one recipient after another: what is common to all of them is written down once."""
    before, after, sha256 = _led("intent") + _led(incident) + _led(seq), _led(channel), hashlib.sha256

    def of(recipient: str) -> str:
        raw = recipient.encode("utf-8", "surrogatepass")
        return sha256(b"".join((before, len(raw).to_bytes(4, "big"), raw, after))).hexdigest()[:32]

    return of


def batch_id(notice: str, channel: str, partition: int, rendering: str, zone: str, first_recipient: str) -> str:
    """One batch of a notice's fan-out in one partition: of those who read the same bytes, from this one on."""
    return derived("batch", notice, channel, partition, rendering, zone, first_recipient)


def attempt_id(batch: str, attempt: int, first_recipient: str) -> str:
    """One window of one attempt at a batch."""
    return derived("attempt", batch, attempt, first_recipient)


def traceparent(cause: str, step: str) -> str:
    """A W3C trace context: the trace is the cause's, the span is this step of it."""
    return f"00-{derived('trace', cause)}-{derived('span', cause, step)[:16]}-01"


def child_of(parent: str, step: str) -> str:
    """The next span of the trace that `parent` (a traceparent) belongs to."""
    version, trace, span, flags = parent.split("-")
    return f"{version}-{trace}-{derived('span', span, step)[:16]}-{flags}"
