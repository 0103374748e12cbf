"""While the archive is out of reach for too long, nothing is sealed, and so nothing is sent; then it goes on."""

from pathlib import Path
from time import monotonic

import pytest

from pipeline.audit.places import InArchive
from pipeline.audit.reading import verified
from pipeline.broker.embedded import EmbeddedBroker
from pipeline.sandbox import Sandbox
from schemas import topics
from schemas.base import Severity
from schemas.incident import IncidentOpened
from tests.chaos.verdict import judge
from tests.system import System, eventually, running

pytestmark = pytest.mark.chaos

PEOPLE = 5


async def opened(system: System, incident: str) -> None:
    said = IncidentOpened(
        title=f"{incident} fails", severity=Severity.MAJOR, summary=f"One call of {incident} in 3 fails."
    )
    await system.publish(incident, said)


async def test_sending_stops_and_goes_on_with_the_archive(tmp_path: Path) -> None:
    folder, away = tmp_path / "archive", tmp_path / "away"
    async with Sandbox() as sandbox, running(EmbeddedBroker(tmp_path / "data"), sandbox, ()) as system:
        for n in range(PEOPLE):
            await system.subscribe(f"mail-{n}", email=f"p{n}@example.com")
        await system.start("decide")
        await system.start("record", env={"TOCSIN_ARCHIVE": str(folder), "TOCSIN_ARCHIVE_BEHIND_S": "10"})
        await system.start("deliver", env={"TOCSIN_SEALED_WITHIN_S": "1"})
        folder.rename(away)
        folder.write_text("a file stands where the folder should be")

        async def said(room: str, words: str) -> bool:
            return words in system.log(room)

        await opened(system, "INC-0")
        await eventually(lambda: said("record", "Sealing waits for it, from now"), 60)
        told, until = 1, monotonic() + 30

        async def told_or_still() -> bool:
            return len(sandbox.mails) >= told * PEOPLE or await said("deliver", "the log has stood still")

        while not await said("deliver", "the log has stood still"):
            assert monotonic() < until, "it sends on and on"
            await opened(system, f"INC-{told}")
            told += 1
            await eventually(told_or_still, 60)
        before = len(sandbox.mails)
        await opened(system, "INC-LAST")

        async def decided() -> bool:
            return any(record.key == b"INC-LAST" for record in await system.read(topics.INCIDENT_JOURNAL))

        await eventually(decided, 30)
        assert len(sandbox.mails) == before < told * PEOPLE
        folder.unlink()
        away.rename(folder)
        found = await system.all_settled((told + 1) * PEOPLE, within_s=120)
        assert len(sandbox.mails) == (told + 1) * PEOPLE
        verdict = judge(system, found, "the archive out of reach", fired=True)
        verdict.check()
        assert verdict.unknown == 0
        await system.stop("record")
        result = await verified(InArchive(str(folder)))
        assert result.ok
        assert result.signed == result.entries
