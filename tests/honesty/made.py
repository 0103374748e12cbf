"""A projection to report on: a shipped incident, told to some people, whose messages end in every way."""

from datetime import timedelta

from pipeline.projection.homes import home
from pipeline.settings import Settings
from schemas.base import Channel
from schemas.codec import Record
from schemas.delivery import DeliveriesEnded, DeliveriesIntended, Outcome, Result
from schemas.journal import NoticeDecided, NoticeKind
from tests.audit.logs import subscribed
from tests.projection.made import SHA, apply, journaled, of_notice, run, sealed

DELAY = timedelta(seconds=40)
"""How long after its decision a message was taken."""
PEOPLE = ("s-ann", "s-bob", "s-cem", "s-dora", "s-eve")
ENDED = (Result.ACCEPTED, Result.ACCEPTED, Result.SUPPRESSED, Result.PARKED, Result.UNKNOWN)


def deliveries() -> list[Record]:
    """Every notice by mail to everyone, each with an end of their own."""
    found = []
    for turn in run().turns:
        entry = turn.entry
        for told in (one for one in entry.decisions if isinstance(one, NoticeDecided)):
            if told.kind is NoticeKind.REMINDER:
                continue
            names = [f"{person}-{told.audience}" for person in PEOPLE]
            of = {
                "batch_id": "b", "notice_id": told.notice_id, "incident": entry.incident, "seq": entry.seq,
                "channel": Channel.EMAIL,
            }  # fmt: skip
            at = entry.input.appended_at
            intent = DeliveriesIntended(
                **of, at=at, kind=told.kind, audience=told.audience, rendering=SHA, recipients=tuple(names)
            )
            outcomes = tuple(
                Outcome(recipient=name, result=result, reason="because")
                for name, result in zip(names, ENDED, strict=True)
            )
            found.append(of_notice(intent, entry.seq, told.audience))
            end = DeliveriesEnded(**of, at=at + DELAY, attempt=1, outcomes=outcomes)
            found.append(of_notice(end, entry.seq, told.audience))
    return found


def log() -> list[bytes]:
    return sealed(
        *(subscribed(person, place) for place, person in enumerate(PEOPLE)),
        *journaled(turn.entry for turn in run().turns),
        *deliveries(),
    )


async def projected(settings: Settings) -> int:
    """The log, projected; how many entries it has."""
    where = home(settings)
    await where.swap(await where.new())
    store = await where.serving()
    assert store is not None
    values = log()
    await apply(store, values)
    await store.close()
    return len(values)
