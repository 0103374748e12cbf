"""`tocsin audit witness`: a small service that cosigns the checkpoints of logs, and only what continues what it saw."""

import asyncio
import logging
import os
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from pipeline.audit.vouching import Published, published
from pipeline.audit.witness import Witness
from pipeline.broker import runfile
from pipeline.private_keys import keys_of
from pipeline.settings import Settings

MAX_REQUEST_BYTES = 128 * 1024


def witness_command(
    directory: Annotated[Path, typer.Option("--dir", help="Its own key and memory; keep it apart from the log's.")],
    log: Annotated[list[Path], typer.Option(help="The log.pub of a log that it cosigns; may be given repeatedly.")],
    host: Annotated[str, typer.Option(help="Where it listens.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0: a free one.")] = 8026,
) -> None:
    """Cosign checkpoints: remembers the last of each log, and refuses a fork and a rollback.

    Run it on another machine, under other people's hands: whoever holds the log's key can sign a second history, and
    cannot have it cosigned here. Give its witness.pub to whoever verifies.
    """
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    given = keys_of("witness").witness_key
    witness = Witness(directory, lambda: _keys(log), lambda: int(time.time()), given)
    asyncio.run(_serve(witness, host, port, lambda bound: _say(witness, host, bound)))


def _keys(files: Sequence[Path]) -> list[Published]:
    """Read anew for each request: a log that changes its key adds a line to its file."""
    return [line for file in files if file.is_file() for line in published(file.read_text())]


async def _serve(witness: Witness, host: str, port: int, ready: Callable[[int], None]) -> None:
    from aiohttp import web  # none of the other commands of `tocsin audit` serves anything, and it loads slowly

    async def add_checkpoint(request: web.Request) -> web.Response:
        # Not awaited in between: what is checked and what is remembered must be one step.
        answer = witness.add_checkpoint(await request.read())
        body = answer.body.encode()
        return web.Response(status=answer.status, body=body, headers={"Content-Type": answer.content_type})

    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    app = web.Application(client_max_size=MAX_REQUEST_BYTES)
    app.router.add_post("/add-checkpoint", add_checkpoint)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        ready(runner.addresses[0][1])
        await stopped.wait()
    finally:
        await runner.cleanup()


def _say(witness: Witness, host: str, port: int) -> None:
    run_file = runfile.run_dir(Settings().data_dir) / "witness.ready"
    runfile.write(run_file, os.getpid(), port=port)
    print(f"witness on http://{host}:{port}, key {witness.line} in {witness.key_file}", flush=True)
