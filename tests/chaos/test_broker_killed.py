"""kill -9 of the embedded broker in the middle of sending: what it lost is put back, and nothing is told twice."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from pipeline.audit.in_topics import InTopics
from pipeline.audit.reading import verified
from pipeline.sandbox import Sandbox
from pipeline.settings import Settings
from pipeline.supervisor import Supervisor
from tests.chaos.test_kills import INCIDENTS, INTENTS, PEOPLE, tell
from tests.chaos.verdict import judge
from tests.system import System

pytestmark = pytest.mark.chaos


@pytest.mark.parametrize("mails", [1, 12, 30])  # where the end overtakes all else there are three times 12
async def test_the_embedded_broker_is_killed_during_sending(tmp_path: Path, mails: int) -> None:
    said: list[str] = []
    settings = Settings(_env_file=None, data_dir=tmp_path, partitions=3, session_timeout_s=10)
    async with Sandbox() as sandbox:
        system = System(settings, sandbox)
        async with Supervisor(system.settings, web=False, say=said.append) as supervisor:
            await supervisor.ready()
            await system.publish_policy(shipped=False)
            for n in range(PEOPLE):
                await system.subscribe(f"mail-{n}", email=f"p{n}@example.com")
                await system.subscribe(f"sms-{n}", phone=f"+1415555{2600 + n}")
            await system.subscribe("account", x_handle="status", audiences="public")
            await tell(system)
            await sandbox.wait_for(lambda: len(sandbox.mails) >= mails, timeout=150)
            before = len(sandbox.mails)
            assert supervisor.broker is not None
            rooms = {name: process.pid for name, process in supervisor.processes.items()}
            os.kill(supervisor.broker.pid or 0, signal.SIGKILL)
            async with asyncio.timeout(120):
                while any(p.pid == rooms[name] or not p.is_ready for name, p in supervisor.processes.items()):
                    await asyncio.sleep(0.02)
            found = await system.all_settled(INTENTS, within_s=180)
            verdict = judge(
                system,
                found,
                f"kill -9 of the embedded broker after {before} mails",
                fired=before < INCIDENTS * 3 * PEOPLE,
            )
            verdict.check()
            lost = [line for line in said if line.startswith("the embedded broker lost")]
            print("\n".join(lost))
            assert lost, "it lost nothing: this shows nothing"
            assert verdict.intents == INTENTS
            assert verdict.duplicated_mails <= verdict.unknown
            assert (await verified(InTopics(system.settings))).ok
