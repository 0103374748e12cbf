"""`tocsin sandbox`: the doubles of SMTP, Twilio and X in a process of their own."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Annotated

import typer

from pipeline.broker import runfile
from pipeline.errors import ConfigurationError
from pipeline.sandbox import Sandbox
from pipeline.sandbox.x import POSTS_PER_WINDOW
from pipeline.settings import Settings

RUN_FILE = "sandbox.json"


def sandbox(
    smtp_port: Annotated[int, typer.Option(help="0: a free one", min=0, max=65535)] = 0,
    http_port: Annotated[int, typer.Option(help="Twilio, X and the inbox; 0: a free one", min=0, max=65535)] = 0,
    directory: Annotated[
        Path | None, typer.Option("--dir", help="keep what was received in DIR/truth.jsonl", file_okay=False)
    ] = None,
    x_limit: Annotated[int, typer.Option(help="posts on X within 15 minutes", min=1)] = POSTS_PER_WINDOW,
) -> None:
    """Receive mail, SMS and posts on this machine; nothing leaves it. Runs until stopped."""
    asyncio.run(_serve(Settings(), smtp_port, http_port, directory, x_limit))


async def _serve(settings: Settings, smtp_port: int, http_port: int, directory: Path | None, x_limit: int) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    running = Sandbox(directory, smtp_port=smtp_port, http_port=http_port, x_posts_per_window=x_limit)
    try:
        await running.start()
    except OSError as error:
        raise ConfigurationError(
            f"the sandbox cannot listen ({error.strerror or error}); choose another --smtp-port or --http-port"
        ) from error
    run_file = runfile.run_dir(settings.data_dir) / RUN_FILE
    try:
        environment = running.settings_env()
        runfile.write(
            run_file,
            os.getpid(),
            smtp_port=running.smtp_port,
            http_port=running.http_port,
            inbox_url=running.inbox_url,
            env=environment,
        )
        print(f"inbox  {running.inbox_url}")
        print(f"smtp   {running.smtp_url}")
        print(f"truth  {running.inbox_url}truth.json")
        print("\n".join(f"{name}={value}" for name, value in environment.items()), flush=True)
        await stopped.wait()
    finally:
        run_file.unlink(missing_ok=True)
        await running.stop()
