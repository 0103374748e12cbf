"""The providers, who keep the truth: what they took, whatever those who called them know of it."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from pipeline.channels.base import Envelope, Recipient, Sent
from pipeline.vault import Vault
from schemas import codec, topics
from schemas.base import Channel
from schemas.delivery import Result
from schemas.ids import derived
from schemas.receipt import DeliveryReported

if TYPE_CHECKING:
    from tests.sim.process import Process

SECRET = b"a secret for tests, 32 characters"
VAULT = Vault.of(SECRET)
SLOW_S = 25.0
CALLED_BACK = 0.6

CALM = ("taken",) * 12 + ("later", "dark", "taken, dark")
TROUBLED = ("taken", "later", "later", "dark", "taken, dark", "slow", "slow, dark", "refused")


MET = {"later": "put off", "dark": "unknown", "taken, dark": "unknown but taken", "slow, dark": "unknown but taken"}
"""How a fate is counted, where not under its own name."""


class Message(NamedTuple):
    """What one message is, whatever id it is sent under."""

    notice: str
    recipient: str
    channel: Channel


class Taken(NamedTuple):
    """A message that a provider took. `asked`: when the call came in that brought it."""

    message: Message
    at: datetime


@dataclass
class Truth:
    """What was taken, in order; and by id, as a provider lists it. `stopped`: who told the provider to stop."""

    taken: list[Taken] = field(default_factory=list)
    listed: Counter[str] = field(default_factory=Counter)
    stopped: set[str] = field(default_factory=set)
    trouble: dict[Channel, datetime] = field(default_factory=dict)
    slow: dict[Channel, datetime] = field(default_factory=dict)

    def times(self) -> Counter[Message]:
        """How often each message was taken."""
        return Counter(taken.message for taken in self.taken)


class Provider:
    """A provider as a process reaches it.

    A request that is on its way arrives, whether or not the process still lives. That a process stops for longer than
    the hold between its last look at its heartbeat and the first byte of the request is what nobody can prevent.
    """

    def __init__(self, process: "Process", channel: Channel) -> None:
        self._process, self._world, self.channel = process, process.world, channel
        self.max_window = 2 if channel is Channel.EMAIL else 1

    async def send(self, envelope: Envelope, recipients: Sequence[Recipient]) -> list[Sent]:
        return [await self._one(envelope, recipient) for recipient in recipients]

    async def _one(self, envelope: Envelope, recipient: Recipient) -> Sent:
        fate = self._fate(recipient)
        self._world.fired[MET.get(fate, fate)] += 1
        await asyncio.sleep(self._world.latency())
        if fate.startswith(("taken", "slow")):
            self._take(envelope, recipient)
        if fate.startswith("slow"):
            await asyncio.sleep(self._world.random.uniform(1, SLOW_S))
        await self._process.step()
        if fate == "left":
            return Sent(Result.PERMANENT, "opted_out_at_provider", code="21610", opt_out=True)
        if fate == "refused":
            return Sent(Result.PERMANENT, "refused", code="550" if self.channel is Channel.EMAIL else "30005")
        if fate == "later":
            return Sent(Result.RETRYABLE, "later")
        return Sent(Result.UNKNOWN, fate) if fate.endswith("dark") else Sent(Result.ACCEPTED, fate)

    def _fate(self, recipient: Recipient) -> str:
        if self.channel is Channel.SMS and recipient.subscriber in self._world.truth.stopped:
            return "left"
        truth, now = self._world.truth, self._world.now()
        if self._world.calm:
            return "taken"
        if self.channel in truth.slow and now < truth.slow[self.channel]:
            return "slow"
        return self._world.random.choice(TROUBLED if now < truth.trouble[self.channel] else CALM)

    def _take(self, envelope: Envelope, recipient: Recipient) -> None:
        message = Message(envelope.notice_id, recipient.subscriber, self.channel)
        self._world.truth.taken.append(Taken(message, self._world.now()))
        self._world.truth.listed[recipient.intent_id] += 1
        if self.channel is Channel.SMS and self._world.random.random() < CALLED_BACK:
            self._world.loop.call_later(self._world.random.choice((0.1, 2.0, 30.0, 90.0)), self._call_back, recipient)

    def _call_back(self, recipient: Recipient) -> None:
        report = DeliveryReported(
            channel=self.channel,
            intent_id=recipient.intent_id,
            provider_id=derived("provider", recipient.intent_id),
            status="delivered",
            at=self._world.now(),
        )
        self._world.log.append(
            codec.encode(
                topics.PROVIDER_RECEIPTS, report, id=report.provider_id, source="/sim", partition=recipient.partition
            )
        )

    async def reconcile(self, envelope: Envelope, recipient: Recipient) -> Sent:
        """A mail's relay keeps no list that could be asked."""
        await self._process.step()
        known = self.channel is not Channel.EMAIL and self._world.truth.listed[recipient.intent_id]
        return Sent(Result.ACCEPTED if known else Result.RETRYABLE, "looked up")

    async def close(self) -> None: ...
