"""What comes after: incidents are closed and forgotten while workers die; then everything comes once more.

As `pipeline.trimming` does it, but that nothing is too young: whatever is closed and settled goes at once.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pipeline.decide.folding import fold
from pipeline.trimming.needs import Deliveries, Journals, judged
from pipeline.trimming.trim import SOURCE
from schemas import codec, topics
from schemas.base import Lane
from schemas.codec import Outgoing, Record
from schemas.command import Close
from schemas.deadletter import DeadLetter
from schemas.ids import derived
from schemas.journal import Closed
from tests.sim import checks
from tests.sim.process import CHANNELS, Deciding

if TYPE_CHECKING:
    from tests.sim.world import World

NOTHING_IS_YOUNG = datetime.max.replace(tzinfo=UTC)
ROUNDS = 6


async def forgotten(world: "World", said: Sequence[Outgoing]) -> None:
    """Closes and forgets, with workers that die meanwhile; starts all anew; then all that was said comes again."""
    known = {event.data.incident for _, event in world.log.events(topics.INCIDENT_JOURNAL)}  # type: ignore[attr-defined]
    for _ in range(ROUNDS):
        _trim(world)
        if world.processes:
            process = world.random.choice(world.processes)
            process.dies_at = process.steps + world.random.randint(1, 12)
        await asyncio.sleep(world.random.choice((0.05, 0.5, 60.0)))
    for process in world.processes:
        process.dies_at = None
    await asyncio.sleep(60)  # whoever died is there again
    kept = _trim(world)
    await world.rest()
    closed = _closed(world)
    checks.require(closed == known - kept, "I1", f"{known} with {kept} kept, and closed were {closed}")
    world.fired["forgotten"] += len(closed)
    taken, letters = len(world.truth.taken), world.log.number(topics.DEAD_LETTERS)
    for process in list(world.processes):
        process.kill()
    await asyncio.sleep(60)
    again = [one for one in said if (one.key or b"").decode() in closed]
    ours = [one for topic in _TELLING for one in world.log.all(topic) if codec.subject_of(one).decode() in closed]
    for one in [*again, *map(_once_more, ours)]:
        world.log.append(one)
    await world.rest()
    await asyncio.sleep(600)
    checks.require(len(world.truth.taken) == taken, "I2", f"of {closed} somebody was told once more")
    buried = [event.data for _, event in world.log.events(topics.DEAD_LETTERS)]
    reasons = {letter.reason for letter in buried if isinstance(letter, DeadLetter)}
    checks.require(reasons <= {"incident_closed"}, "I1", reasons)
    checks.require(len(buried) - letters >= len(again), "I1", "what comes of a closed incident is refused by name")
    _open_ones_are_whole(world, closed)


_TELLING = (*map(topics.notices, Lane), *(topics.deliveries(channel, lane) for channel in CHANNELS for lane in Lane))


def _once_more(record: Record) -> Outgoing:
    return Outgoing(record.topic, record.key, record.value, record.headers, record.partition)


def _closed(world: "World") -> set[str]:
    return {
        event.data.incident for _, event in world.log.events(topics.INCIDENTS_CLOSED) if isinstance(event.data, Closed)
    }


def _trim(world: "World") -> set[str]:
    """One run; which incidents stay."""
    journals = Journals(_closed(world), NOTHING_IS_YOUNG)
    deliveries = Deliveries(journals.states.keys(), NOTHING_IS_YOUNG)
    for topic, apply in ((topics.INCIDENT_JOURNAL, journals.apply), (topics.DELIVERY_RECORDS_TOPIC, deliveries.apply)):
        for record in world.log.all(topic):
            if record.offset >= world.log.begin(record.topic, record.partition):
                apply(record)
    found = judged(journals, deliveries)
    for incident, seq in found.closing:
        order = codec.encode(
            topics.INCIDENT_COMMANDS,
            Close(seq=seq),
            id=derived("close", incident, seq),
            source=SOURCE,
            subject=incident,
        )
        world.log.append(order)
    for topic, fold_ in ((topics.INCIDENT_JOURNAL, journals), (topics.DELIVERY_RECORDS_TOPIC, deliveries)):
        for partition, front in fold_.fronts.items():  # type: ignore[attr-defined]
            front.end()
            front.but(deliveries.unsettled(), ())
            if front.stays is not None:
                world.log.forget(topic.name, partition, front.stays)
    return {incident for incident, _ in found.kept}


def _open_ones_are_whole(world: "World", closed: set[str]) -> None:
    """Whoever decides on what is open knows all of it, and nothing of the rest."""
    entries = [entry for entry in checks.journal(world) if entry.incident not in closed]
    whole = {name: fold(name, [e for e in entries if e.incident == name]) for name in {e.incident for e in entries}}
    there = [desk for one in world.processes if isinstance(one, Deciding) for desk in one.desks._desks.values()]
    held = {name: state for desk in there for name, state in desk.incidents.items()}
    checks.require(held == whole, "I1", f"{sorted(held)} are known, {sorted(whole)} are open")
