"""What must stop sending, and what must not: an error in a handler, a full disk under the log, an opt-out."""

import contextlib
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agents.app import EXIT_CRASHED
from pipeline.audit.in_topics import InTopics
from pipeline.audit.reading import verified
from pipeline.commands.status import gather
from pipeline.subscribers import event_record
from schemas import codec, topics
from schemas.base import Channel
from schemas.delivery import DeliveryAttempted
from schemas.incident import IncidentResolved
from schemas.subscriber import Unsubscribed
from tests.chaos.supervision import supervised
from tests.chaos.ward import ward
from tests.system import eventually

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(300)]

SEALED_WITHIN = timedelta(seconds=2)
LOOKED_S = timedelta(seconds=5)
"""Between the look at the opt-outs and the attempt's record: a moment, on a machine that has much else to do."""


async def test_4_an_error_in_a_handler_ends_the_process_and_loses_nothing(tmp_path: Path) -> None:
    async with ward(tmp_path, "decide") as running:
        running.system.commands["deliver"] = ("-m", "tests.chaos.raising", "deliver")
        await running.system.start("deliver")
        count = await running.people(4, mails=4, phones=2, x=True)
        await running.tell(4)
        assert await running.system.ended("deliver") == EXIT_CRASHED
        await running.system.start("deliver")
        await running.settled(4, count)
        fired = running.system.log("deliver", whole=True).count("ArithmeticError: nobody expected this")
        verdict = running.judge(4, "exception in a handler", fired=fired)
        assert verdict.unknown == 0


@contextlib.contextmanager
def small_disk(path: Path) -> Iterator[Path]:
    """A file system of 256 KiB; a file on it that takes up all that is left."""
    path.mkdir(parents=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(path)], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"a disk of its own needs root: {mounted.stderr.decode().strip()}")
    try:
        yield path / "filler"
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))


async def test_23_while_the_disk_under_the_log_is_full_nothing_is_sent(tmp_path: Path) -> None:
    with small_disk(tmp_path / "audit") as filler:
        async with ward(
            tmp_path, "decide", "deliver", "record", TOCSIN_SEALED_WITHIN_S=str(SEALED_WITHIN.seconds)
        ) as running:
            system, sandbox = running.system, running.system.sandbox
            settings = system.settings.model_copy(update={"sealed_within_s": SEALED_WITHIN.total_seconds()})
            count = await running.people(23, mails=4, phones=2)
            fill(filler)
            async with supervised(system, "record"):
                await running.tell(23)
                await running.settled(23, count)
                sent, told_at = (len(sandbox.mails), len(sandbox.texts)), datetime.now(UTC)

                async def standing() -> bool:
                    return (await gather(settings, datetime.now(UTC))).standstill is not None

                async def owing() -> bool:
                    # deliver counts from its attempts, which came after what the log has stood still over
                    return datetime.now(UTC) - told_at > SEALED_WITHIN and await standing()

                await eventually(owing, 60, "the status says that the log stands still")
                await system.publish("FAULT-23", IncidentResolved(summary="It works again."), start=1)

                async def held() -> bool:
                    return "nothing is sent before it goes on" in system.log("deliver", whole=True)

                await eventually(held, 60, "deliver says that nothing is sent")
                assert (len(sandbox.mails), len(sandbox.texts)) == sent
                running.begin(23)
                filler.unlink()
                await running.settled(23, 2 * count)
                assert "the log goes on, and so does sending" in system.log("deliver", whole=True)

                async def whole() -> bool:
                    result = await verified(InTopics(settings))
                    return result.ok and result.signed == result.entries and not await standing()

                await eventually(whole, 60, "the log is whole again")
            fired = "No space left on device" in system.log("record", whole=True)
            running.judge(23, "disk full under the log", fired=fired)


async def test_27_an_opt_out_that_races_a_send_holds_from_the_next_window_on(tmp_path: Path) -> None:
    async with ward(tmp_path, "decide", "deliver", TOCSIN_SMTP_CONNECTIONS="1") as running:
        system = running.system
        count = await running.people(27, mails=45)
        slow = system.sandbox.fault("smtp", "slow", stage="rcpt", seconds=0.2, times=None)
        await running.tell(27)
        await system.sandbox.wait_for(lambda: len(system.sandbox.mails) > 3, timeout=60)
        people = [f"f27-mail-{n}" for n in range(45)]
        left = Unsubscribed(channel=Channel.EMAIL, via="one-click")
        await system.write(*(event_record(who, left, datetime.now(UTC), source="/tests") for who in people))
        assert slow.seconds
        system.sandbox.clear_faults()
        await running.settled(27, count)
        out = {
            codec.decode_input(r).subject: r.timestamp
            for r in await system.read(topics.SUBSCRIBER_EVENTS_TOPIC)
            if codec.decode_input(r).data == left
        }
        attempts = [(r.timestamp, codec.decode(r).data) for r in await system.read(topics.DELIVERY_RECORDS_TOPIC)]
        late = [
            who
            for at, data in attempts
            if isinstance(data, DeliveryAttempted)
            for who in data.recipients
            if at > out[who] + LOOKED_S
        ]
        suppressed = count - len(system.sandbox.mails)
        running.judge(27, "opt-out races a send", fired=suppressed)
        assert not late
