"""What was said, said once more: into a sandbox, by the real channels, at any speed.

The channels are made from a running sandbox and from nothing else: there is no way to hand this module a setting, so
none of a real provider's can come into it. Nor does it know an address: who was told is an id in the log, and their
mailbox here is made of it.
"""

import hashlib
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pipeline.audit.history import History
from pipeline.channels import build_senders
from pipeline.channels.base import Envelope, Recipient, Sender
from pipeline.replay.pace import play
from pipeline.sandbox import Sandbox
from pipeline.settings import Settings
from schemas.base import Channel
from schemas.delivery import DeliveriesEnded, DeliveriesIntended, DeliveryAttempted, Result
from schemas.ids import intent_id
from schemas.rendering import Rendering, content_in

NOWHERE = "https://replay.invalid"


@dataclass(frozen=True, slots=True)
class Said:
    """One window of what a provider took: to whom, when, in which words. `at` is by our clock, UTC."""

    at: datetime
    attempt: DeliveryAttempted
    recipients: tuple[str, ...]
    zone: str


@dataclass
class Replayed:
    """What became of it in the sandbox."""

    said: Counter[Channel] = field(default_factory=Counter)
    taken: Counter[Channel] = field(default_factory=Counter)
    without_words: Counter[Channel] = field(default_factory=Counter)
    without_double: Counter[Channel] = field(default_factory=Counter)


def senders_of(sandbox: Sandbox) -> dict[Channel, Sender]:
    """The real channels, set up for a running sandbox and with nothing else: the environment is not asked."""
    defaults = {name: one.get_default(call_default_factory=True) for name, one in Settings.model_fields.items()}
    given = {name.removeprefix("TOCSIN_").lower(): value for name, value in sandbox.settings_env().items()}
    settings = Settings(_env_file=None, **{**defaults, **given})
    return build_senders(settings, lambda intent, _partition: f"{NOWHERE}/status?d={intent}")


def said_in(found: History) -> Iterator[Said]:
    """The windows of an incident of which a provider took any, in the order of the log."""
    zones: dict[tuple[int, Channel, str], str] = {}
    attempts: dict[str, DeliveryAttempted] = {}
    for record in found.records:
        match record:
            case DeliveriesIntended():
                zones |= {(record.seq, record.channel, one): record.zone for one in record.recipients}
            case DeliveryAttempted():
                attempts[record.attempt_id] = record
            case DeliveriesEnded(attempt_id=str(of)) if of in attempts:
                attempt = attempts[of]
                taken = tuple(one.recipient for one in record.outcomes if one.result is Result.ACCEPTED)
                if taken:
                    zone = zones.get((attempt.seq, attempt.channel, taken[0]), "UTC")
                    yield Said(attempt.at, attempt, taken, zone)


async def into_sandbox(
    said: Iterable[Said],
    words: Mapping[str, Rendering],
    sandbox: Sandbox,
    speed: float | None,
    sleep: Callable[[float], Awaitable[None]],
    clock: Callable[[], float],
) -> Replayed:
    """Says all of it to the sandbox, `speed` times as fast as it was said (None: without waiting).

    `words`: renderings by their hash. `sleep` and `clock` are in seconds.
    """
    senders, replayed = senders_of(sandbox), Replayed()

    async def once_more(one: Said, _speed: float) -> None:
        channel, rendering = one.attempt.channel, words.get(one.attempt.rendering)
        sender = senders.get(channel)
        replayed.said[channel] += len(one.recipients)
        if rendering is None:
            replayed.without_words[channel] += len(one.recipients)
        elif sender is None:
            replayed.without_double[channel] += len(one.recipients)
        else:
            sent = await sender.send(
                _envelope(one, rendering), [_recipient(one.attempt, who) for who in one.recipients]
            )
            replayed.taken[channel] += sum(answer.result is Result.ACCEPTED for answer in sent)

    try:
        await play(_in_order(said), once_more, speed, sleep, clock)
    finally:
        for sender in senders.values():
            await sender.close()
    return replayed


def _in_order(said: Iterable[Said]) -> Sequence[Said]:
    return sorted(said, key=lambda one: one.at)


def _envelope(one: Said, rendering: Rendering) -> Envelope:
    return Envelope(
        incident=one.attempt.incident,
        notice_id=one.attempt.notice_id,
        attempt=1,
        at=one.at,
        content=content_in(rendering, one.zone),
        rendering_sha256=rendering.sha256,
        language=rendering.language,
    )


def _recipient(attempt: DeliveryAttempted, subscriber: str) -> Recipient:
    return Recipient(
        subscriber=subscriber,
        intent_id=intent_id(attempt.incident, attempt.seq, subscriber, attempt.channel),
        partition=0,
        address=_address(attempt.channel, subscriber),
        unsubscribe_url=f"{NOWHERE}/leave",
        one_click=False,
    )


def _address(channel: Channel, subscriber: str) -> str:
    """An address that is nobody's, and each subscriber's own."""
    digest = hashlib.sha256(subscriber.encode()).hexdigest()
    if channel is Channel.EMAIL:
        return f"{digest[:16]}@replay.invalid"
    return f"+1500{int(digest[:12], 16) % 10**7:07d}"
