import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import aiohttp
import aiosmtplib
import pytest

from pipeline.commands.sandbox import _serve
from pipeline.errors import ConfigurationError
from pipeline.sandbox import Sandbox, read_truth
from pipeline.settings import Settings
from tests.paths import REPOSITORY
from tests.sandbox.test_smtp import letter

RUN = "import typer; from pipeline.commands.sandbox import sandbox; typer.run(sandbox)"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_command_says_where_it_is_and_stops_when_told(tmp_path: Path, number: signal.Signals) -> None:
    truth = tmp_path / "truth"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", RUN, "--dir", str(truth),
        env={**os.environ, "TOCSIN_DATA_DIR": str(tmp_path), "PYTHONPATH": str(REPOSITORY)}, cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    printed = [(await asyncio.wait_for(process.stdout.readline(), 30)).decode().strip()]
    run_file = tmp_path / "run" / "sandbox.json"
    said = json.loads(run_file.read_text())
    assert said["pid"] == process.pid
    assert printed == [f"inbox  {said['inbox_url']}"]
    rest = [(await process.stdout.readline()).decode().strip() for _ in range(2 + len(said["env"]))]
    assert rest[2:] == [f"{name}={value}" for name, value in said["env"].items()]
    async with aiohttp.ClientSession() as http, http.get(f"{said['inbox_url']}health") as response:
        assert (await response.json()) == {"status": "ok", "records": 0}
    await aiosmtplib.send(letter(), hostname="127.0.0.1", port=said["smtp_port"], start_tls=False)
    process.send_signal(number)
    assert await asyncio.wait_for(process.wait(), 10) == 0
    assert not run_file.exists()
    assert [record.kind for record in read_truth(truth)] == ["mail"]


async def test_a_taken_port_is_named_with_the_way_out(tmp_path: Path) -> None:
    async with Sandbox() as other:
        with pytest.raises(ConfigurationError, match="choose another --smtp-port or --http-port"):
            await _serve(Settings(data_dir=tmp_path), 0, other.http_port, None, 100)
        with pytest.raises(ConfigurationError, match="choose another"):
            await _serve(Settings(data_dir=tmp_path), other.smtp_port, 0, None, 100)
