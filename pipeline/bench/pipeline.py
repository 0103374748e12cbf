"""The whole way: one notice to many subscribers of mail, through every room, every record durable, the log on.

From the event published until the last outcome is on record, with a deliver worker for each of two cores where the
broker is Apache Kafka. Beside it, with the same words to as many recipients and against the same smtp-sink: our email
engine alone, and aiosmtplib's own loop. A first time does not count: no broker in service is as cold as one that was
just started.
"""

import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from pipeline import policy
from pipeline.bench.email_engine import Course, Track
from pipeline.bench.figures import Measured, medians
from pipeline.bench.running import Running, kafka_is_there, running
from pipeline.bench.sinks import HOST, tool
from pipeline.clock import now
from pipeline.decide.incident import decide
from pipeline.decide.state import IncidentState
from pipeline.settings import Settings
from schemas import topics
from schemas.base import Severity
from schemas.incident import IncidentOpened
from schemas.journal import JournaledInput
from schemas.rendering import EmailContent

RECIPIENTS: Final = {"Apache Kafka": 100_000, "the embedded broker": 10_000}
"""As many as the broker carries."""
CONNECTIONS: Final = 4
LOT_BYTES: Final = 128 * 1024
"""Of outcomes that are counted together; the last ones wait for a tenth of a second."""
PATIENCE_S: Final = 600.0
_WORDS: Final = "Logins fail for a part of the customers in Europe, and we are working on it. " * 20
_EVENT: Final = IncidentOpened(title="Logins fail in Europe", severity=Severity.MAJOR, summary=_WORDS[:1400])


def measure(runs: int) -> Iterator[Measured]:
    """Mails a second, by everything and by its parts: these before it and after it, as machines have their moods."""
    broker = "Apache Kafka" if kafka_is_there() else "the embedded broker"
    count, workers = RECIPIENTS[broker], min(2, os.cpu_count() or 1) if kafka_is_there() else 1
    course = Course(
        "pipeline", False, 0, CONNECTIONS, CONNECTIONS,
        ours=count, loop=min(count, 20_000), source=1, content=_said(),
    )  # fmt: skip
    with ExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory()))
        track = Track.laid(course, directory, stack, tool("smtp-source", "postfix"))
        parts = [_parts(track) for _ in range(runs - runs // 2)]
        whole = asyncio.run(_whole(directory, track.port, count, runs, workers))
        parts += [_parts(track) for _ in range(runs // 2)]
    found = medians([one | {"ours": rate} for one, rate in zip(parts, whole, strict=True)])
    ours = found.pop("ours")
    about = {"broker": broker, "recipients": f"{count:,}", "deliver_workers": str(workers)}
    yield Measured("pipeline", "mails/s", ours, found, about)


def _parts(track: Track) -> dict[str, float]:
    return {"email_engine": asyncio.run(track.ours()), "aiosmtplib": asyncio.run(track.loop())}


def _said() -> EmailContent:
    """What the mails say, as the decide room words it."""
    shipped = policy.compile(policy.load(Settings(_env_file=None).policy_dir))
    event, topic = _EVENT.model_dump(mode="json", exclude_none=True), topics.INCIDENT_EVENTS.name
    given = JournaledInput(
        id="run-0/0",
        source="/bench",
        type=_EVENT.TYPE,
        topic=topic,
        partition=0,
        offset=0,
        appended_at=now(),
        data=event,
    )
    notices = decide(IncidentState("run-0"), given, shipped).notices
    said = (r for notice in notices if notice.group.audience == "customers" for r in notice.renderings)
    return next(r.content for r in said if isinstance(r.content, EmailContent) and r.language == "en")


async def _whole(directory: Path, port: int, count: int, runs: int, workers: int) -> list[float]:
    async with running(directory, smtp_url=f"smtp://{HOST}:{port}", deliver_workers=workers) as system:
        await system.subscribe(count)
        await system.caught_up()
        _, *rates = [await _once(system, f"run-{number}", count) for number in range(runs + 1)]
        return rates


async def _once(system: Running, incident: str, count: int) -> float:
    async with system.outcomes(LOT_BYTES) as outcomes, asyncio.timeout(PATIENCE_S):
        begun = time.perf_counter()
        await system.publish(incident, _EVENT)
        await outcomes.accepted(incident, count)
        return count / (time.perf_counter() - begun)
