"""The tables anew from the log: its topic, an export, an archive. What serves goes on serving meanwhile."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from pipeline.audit.places import Place
from pipeline.broker import connect
from pipeline.broker.locks import held
from pipeline.errors import AuditError
from pipeline.projection.homes import Home
from pipeline.settings import Settings
from schemas import topics

AT_ONCE = 1000
"""Entries of a transaction."""


@dataclass(frozen=True, slots=True)
class Part:
    """What follows in the log. `topic_offset`: where its topic goes on after it; 0 where it was not read from there.

    `whole`: each of the values must be an entry that follows. In the topic some may be void.
    """

    values: Sequence[bytes | None]
    topic_offset: int = 0
    whole: bool = False


async def rebuild(
    settings: Settings, home: Home, log: AsyncIterator[Part], seen: Callable[[int], None] = lambda _: None
) -> int:
    """Makes the tables anew and lets them serve; says how many entries they hold.

    Before the end nothing has changed for whoever reads the old ones or follows the log into them. `seen` is told how
    many values of the log were taken just now. Raises AlreadyRunning, and what the log or the database does.
    """
    with held(settings.data_dir / "projection" / "rebuild.lock", _refusal):
        return await _rebuild(home, log, seen)


def _refusal(holder: int | None) -> str:
    return f"the projection is being made anew by process {holder or '(unknown)'}"


async def _rebuild(home: Home, log: AsyncIterator[Part], seen: Callable[[int], None]) -> int:
    made = await home.new()
    try:
        entries = 0
        async for part in log:
            batch = await made.apply(part.values, part.topic_offset)
            entries = batch.after.entries
            if part.whole and batch.entries < len(part.values):
                raise AuditError(
                    f"what should be entry {entries} does not follow on the one before it; nothing was changed: "
                    "`tocsin audit verify --export` says what is wrong with it"
                )
            seen(len(part.values))
        await home.swap(made)
    finally:
        await made.close()
    return entries


async def from_topic(settings: Settings) -> AsyncIterator[Part]:
    """The log as it stands in its topic now. Raises BrokerError."""
    values: list[bytes | None] = []
    after = 0
    async for record in connect.read_all(settings, topics.AUDIT_LOG.name):
        values.append(record.value)
        after = record.offset + 1
        if len(values) >= AT_ONCE:
            yield Part(values, after)
            values = []
    yield Part(values, after)


async def from_place(place: Place) -> AsyncIterator[Part]:
    """An export, segments, an archive. Raises AuditError."""
    async for stored in place.stored():
        yield Part([value for value, _ in stored], whole=not place.voids_allowed)
