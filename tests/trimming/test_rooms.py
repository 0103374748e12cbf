"""All rooms at work while Kafka forgets: what is closed is told to nobody again, what is open goes on with its past."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pipeline.audit.seal import identity, source_of
from pipeline.broker import connect
from pipeline.broker.embedded import EmbeddedBroker
from pipeline.broker.kafka import ApacheKafka, fetch_jars, java
from pipeline.broker.process import BrokerProcess
from pipeline.clock import now
from pipeline.errors import TocsinError
from pipeline.sandbox import Sandbox
from pipeline.settings import Settings
from pipeline.trimming.archived import lacking
from pipeline.trimming.trim import TRIMMED, Trimmed, trim
from schemas import codec, topics
from schemas.base import Channel, Lane, Severity, rfc3339
from schemas.codec import Outgoing, Record
from schemas.deadletter import DeadLetter
from schemas.incident import IncidentEvent, IncidentOpened, IncidentReopened, IncidentResolved, ReviewPublished
from schemas.journal import JournalEntry
from schemas.topics import Topic
from tests.commands.running import tocsin
from tests.system import ROOMS, System, eventually, running
from tests.trimming.given import later

PEOPLE = 3
PLAYED = datetime(2026, 3, 3, 9, tzinfo=UTC)
MOMENTS = (timedelta(0), timedelta(hours=1), timedelta(days=4))
STORY: tuple[IncidentEvent, ...] = (
    IncidentOpened(title="Search is slow", severity=Severity.MINOR, summary="Searches take 20 s."),
    IncidentResolved(summary="Searches are fast again."),
    ReviewPublished(review="A disk was too small."),
)
OPENED = IncidentOpened(title="Payments fail", severity=Severity.MAJOR, summary="One payment in three fails.")
RESOLVED = IncidentResolved(summary="Payments work again.")


@pytest.fixture(
    params=[pytest.param("embedded", marks=pytest.mark.slow), pytest.param("kafka", marks=pytest.mark.kafka)]
)
async def broker(request: pytest.FixtureRequest, tmp_path: Path) -> BrokerProcess:
    if request.param == "embedded":
        return EmbeddedBroker(tmp_path)
    try:
        java()
        return ApacheKafka(tmp_path, fetch_jars())
    except TocsinError as error:
        pytest.skip(str(error))


class Trimming:
    """The rooms with an archive, on a broker that may forget."""

    def __init__(self, system: System, archive: Path) -> None:
        self.system = system
        self.settings: Settings = system.settings.model_copy(update={"archive": str(archive), "log_retention_days": 7})
        self._env = {"TOCSIN_ARCHIVE": str(archive), "TOCSIN_LOG_RETENTION_DAYS": "7", "TOCSIN_SANDBOX": "true"}

    async def start(self) -> None:
        await self.system.start(*ROOMS, env=self._env)

    async def command(self, *arguments: str, status: int = 0) -> str:
        environment = self._env | ({"TOCSIN_BROKER": self.settings.broker} if self.settings.broker else {})
        result = await tocsin(self.settings, *arguments, **environment)
        assert result.exit_code == status, result.output
        return result.output

    async def play(self, incident: str) -> None:
        """What happened to it within days, within a second."""
        await self.system.write(
            *(
                codec.encode(
                    topics.INCIDENT_EVENTS, event, id=f"{incident}/{n}", source="/tests", subject=incident,
                    extensions={"virtualtime": rfc3339(PLAYED + MOMENTS[n]), "virtualspeed": "500000"},
                )
                for n, event in enumerate(STORY)
            )
        )  # fmt: skip

    async def journal(self, incident: str) -> list[JournalEntry]:
        """What Kafka has of it."""
        entries = [
            codec.decode(record, JournalEntry).data for record in await self.system.read(topics.INCIDENT_JOURNAL)
        ]
        return [entry for entry in entries if entry.incident == incident]

    async def records_of(self, incident: str, topic: Topic) -> list[Record]:
        """What a topic of ours says of it."""
        return [record for record in await self.system.read(topic) if codec.subject_of(record) == incident.encode()]

    async def is_archived(self) -> bool:
        """Whether the archive has all that Kafka has."""
        records = [record for topic in TRIMMED for record in await self.system.read(topic)]
        sources = [(record.topic, source_of(record)) for record in records]
        wanted = {identity(topic, said.type, said.subject, said.id): True for topic, said in sources}
        return not await asyncio.to_thread(lacking, self.settings.archive or "", self.settings.data_dir, wanted)

    async def forgets(self) -> Trimmed:
        """Trims until something is forgotten, as if it were a hundred days later."""

        async def forgotten() -> Trimmed | None:
            found = await trim(self.settings, later)
            return found if all(found.forgotten.values()) else None

        return await eventually(forgotten, 90, f"it is forgotten; decide says: {self.system.log('decide')}")

    async def buried(self, count: int) -> Counter[str]:
        """The dead letters, once there are so many: their reasons."""

        async def there() -> list[DeadLetter] | None:
            letters = [codec.decode(r, DeadLetter).data for r in await self.system.read(topics.DEAD_LETTERS)]
            return letters if len(letters) >= count else None

        found = await eventually(there, 60, f"{count} dead letters; deliver says: {self.system.log('deliver')}")
        return Counter(f"{letter.origin.topic}: {letter.reason}" for letter in found)


@pytest.fixture
async def there(broker: BrokerProcess, tmp_path: Path) -> AsyncIterator[Trimming]:
    async with Sandbox() as sandbox, running(broker, sandbox, ()) as system:
        for n in range(PEOPLE):
            await system.subscribe(f"mail-{n}", email=f"p{n}@example.com")
        yield Trimming(system, tmp_path / "archive")


def neighbours(partitions: int) -> tuple[str, str]:
    """Two incidents whose journal is one partition's."""
    home = connect.partition_for("OLD", partitions)
    return "OLD", next(name for n in range(99) if connect.partition_for(name := f"OPEN-{n}", partitions) == home)


def again(record: Record) -> Outgoing:
    return Outgoing(record.topic, record.key, record.value, record.headers, record.partition)


async def test_what_is_closed_is_forgotten_and_refused_and_what_is_open_goes_on(there: Trimming) -> None:
    system, (old, goes_on) = there.system, neighbours(there.settings.partitions)
    await there.start()
    await there.play(old)
    await system.all_settled(3 * PEOPLE)
    await system.publish(goes_on, OPENED)
    await system.all_settled(4 * PEOPLE)
    first, mails_of = topics.notices(Lane.FIRST), topics.deliveries(Channel.EMAIL, Lane.FIRST)
    notices, batches = [await there.records_of(old, topic) for topic in (first, mails_of)]
    assert notices
    assert batches
    knew = await there.command("audit", "who-knew", "--subscriber", "mail-1", "--at", rfc3339(now()), "--json")
    whole = await there.journal(old)
    found = await there.forgets()
    assert found.judged.kept == ((goes_on, "not over"),)
    assert [entry for entry in await there.journal(old) if entry.seq <= len(whole)] == []
    mails = system.mails_by_intent()
    assert set(mails.values()) == {1}

    for _ in range(2):  # once in order, once killed: whoever starts folds what is left
        await system.stop_all()
        await there.start()
        assert "of closed incidents, in the archive" in system.log("decide", whole=True)
        assert "of closed incidents, in the archive" in system.log("deliver", whole=True)
        assert "were deleted before they were sealed" not in system.log("record", whole=True)
        assert "lost records" not in system.log("record", whole=True) + system.log("deliver", whole=True)
        await asyncio.gather(*(system.stop(room, sig=9) for room in ROOMS))
        await there.start()

    for said in (("open", "--id", old, "--title", "Search is slow"), ("update", old, "--summary", "It is slow again.")):
        refused_here = await there.command("incident", *said, "--yes", status=1)
        assert f"{old} ended long ago and is closed: say it under a new id" in refused_here

    await there.play(old)  # as whoever sends until it is acknowledged does
    await system.write(codec.encode(
        topics.INCIDENT_EVENTS, IncidentReopened(summary="Slow again."), id="new", source="/tests", subject=old
    ))  # fmt: skip
    await system.write(*map(again, notices), *map(again, batches))
    refused = await there.buried(len(STORY) + 1 + len(notices) + len(batches))
    assert refused == {
        "incident.events: incident_closed": len(STORY) + 1,
        f"{first.name}: incident_closed": len(notices),
        f"{mails_of.name}: incident_closed": len(batches),
    }
    assert system.mails_by_intent() == mails, "nothing was told twice"

    await system.publish(goes_on, RESOLVED, start=1)
    await system.all_settled(PEOPLE)

    async def told() -> bool:
        return len(system.mails_by_intent()) == len(mails) + PEOPLE

    await eventually(told, 60, f"the end is told once; deliver says: {system.log('deliver')}")
    assert set(system.mails_by_intent().values()) == {1}
    assert [entry.seq for entry in await there.journal(goes_on)][:2] == [1, 2]
    threads = [mail.header("References") for mail in system.sandbox.mails if "Payments work again." in mail.text]
    assert len(threads) == PEOPLE
    assert all(threads), "they stand in the thread of what was told before Kafka forgot"

    await eventually(there.is_archived, 60, f"all is archived; record says: {system.log('record')}")
    at = ("--subscriber", "mail-1", "--at", rfc3339(now()), "--json")
    after = await there.command("audit", "who-knew", "--incident", old, *at)
    assert after == await there.command(
        "audit", "who-knew", "--incident", old, *at, "--archive", there.settings.archive or ""
    )
    assert "Searches are fast again." in knew
    assert "Searches are fast again." in after
    for where in ((), ("--archive", there.settings.archive or "")):
        assert "log verified: " in await there.command("audit", "verify", *where)
        assert "it is closed" in await there.command("replay", old, *where)
        await there.command("replay", "--check", *where)
