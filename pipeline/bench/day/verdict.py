"""What became of everybody, once the day is over: the records read again from their beginning, and what was taken.

smtp-sink counts its mails and keeps none; so mails are compared by number, text messages one by one, posts by number.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp

from pipeline.broker import connect
from pipeline.settings import Settings
from pipeline.vault import Vault
from schemas import codec, topics
from schemas.base import Channel, Message
from schemas.delivery import DeliveriesEnded, DeliveriesIntended, Result
from schemas.ids import intent_id

Told = tuple[str, int, Channel]
End = tuple[Result, str]
"""How an intent ended, and the reason on record."""
TIMEOUT_S: Final = 120.0


@dataclass
class OnRecord:
    """What the records say, each intent once."""

    intents: int = 0
    open: int = 0
    unknown: int = 0
    """Attempts whose end nobody knew."""
    ended: Counter[tuple[Channel, Result]] = field(default_factory=Counter)
    untold: Counter[str] = field(default_factory=Counter)
    """Why, of those that were not accepted."""
    texts: set[str] = field(default_factory=set)
    """The intents of all SMS that were accepted."""

    def count(self, channel: Channel, end: End | None) -> None:
        """One intent, and its end if it has come to one."""
        self.intents += 1
        if end is None:
            self.open += 1
            return
        result, reason = end
        self.ended[channel, result] += 1
        if result is not Result.ACCEPTED:
            self.untold[f"{channel} {reason}"] += 1

    def accepted(self, channel: Channel) -> int:
        """How many the provider took."""
        return self.ended[channel, Result.ACCEPTED]


async def on_record(settings: Settings) -> OnRecord:
    """Reads all delivery records, a partition at a time, so that no more than one partition's intents are held."""
    found = OnRecord()
    for partition in range(settings.partitions):
        ends: dict[Told, dict[str, End | None]] = {}
        async for record in connect.read_all(settings, topics.DELIVERY_RECORDS_TOPIC.name, partitions=[partition]):
            fold(found, ends, codec.decode(record).data)
        for (incident, seq, channel), by_recipient in ends.items():
            for recipient, end in by_recipient.items():
                found.count(channel, end)
                if channel is Channel.SMS and end is not None and end[0] is Result.ACCEPTED:
                    found.texts.add(intent_id(incident, seq, recipient, channel))
    return found


def fold(found: OnRecord, ends: dict[Told, dict[str, End | None]], data: Message) -> None:
    """Takes in one record: `ends` of one partition's intents, None as long as there is none."""
    if isinstance(data, DeliveriesIntended):
        of = ends.setdefault((data.incident, data.seq, data.channel), {})
        for recipient in data.recipients:
            of.setdefault(recipient, None)
    elif isinstance(data, DeliveriesEnded):
        of = ends.setdefault((data.incident, data.seq, data.channel), {})
        alike: dict[End, End] = {}  # millions end alike: one object for all of a window
        for outcome in data.outcomes:
            end = (outcome.result, outcome.reason)
            found.unknown += outcome.result is Result.UNKNOWN
            known = of.get(outcome.recipient)
            if outcome.result.terminal and (known is None or known[0] is not Result.ACCEPTED):
                of[outcome.recipient] = alike.setdefault(end, end)


@dataclass(frozen=True)
class Arrived:
    """What arrived where it was sent: mails by number, SMS by intent, posts by number."""

    mails: int
    texts: Counter[str]
    posts: int


async def arrived_at(settings: Settings, mails: int) -> Arrived:
    """Asks the doubles; `mails`: what smtp-sink counted."""
    patience = aiohttp.ClientTimeout(total=TIMEOUT_S)
    async with (
        aiohttp.ClientSession(timeout=patience) as session,
        session.get(f"{settings.twilio_base_url}/truth.json") as answer,
    ):
        records = (await answer.json())["records"]
    vault = Vault.open(settings)
    tokens = ((record["status_callback"] or "").partition("?d=")[2] for record in records if record["kind"] == "text")
    named = (vault.read_callback_token(token) for token in tokens)
    texts = Counter(found[0] if found else "without a token" for found in named)
    return Arrived(mails, texts, sum(record["kind"] == "post" for record in records))


def verdict(expected: int, record: OnRecord, arrived: Arrived) -> dict[str, Any]:
    """Lost: what was never settled, or is on record as taken and was not. Twice: what was taken more often."""
    mails, posts = record.accepted(Channel.EMAIL), record.accepted(Channel.X)
    missing = max(0, expected - record.intents) + record.open
    missing += max(0, mails - arrived.mails) + max(0, posts - arrived.posts) + len(record.texts - arrived.texts.keys())
    by_name = sorted(((f"{channel} {result}", count) for (channel, result), count in record.ended.items()))
    return {
        "expected": expected,
        "intents": record.intents,
        "settled": record.intents - record.open,
        "lost": missing,
        "twice": {
            "email": max(0, arrived.mails - mails),
            "sms": sum(count - 1 for count in arrived.texts.values()),
            "x": max(0, arrived.posts - posts),
        },
        "unknown": record.unknown,
        "ended": dict(by_name),
        "untold_because": dict(sorted(record.untold.items())),
    }
