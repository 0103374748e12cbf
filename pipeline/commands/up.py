"""`tocsin up`: everything on this machine, one process each, until Ctrl-C."""

import asyncio
import signal
from typing import Annotated

import typer

from pipeline.settings import Settings
from pipeline.supervisor import Supervisor


def up(
    sandbox: Annotated[
        bool, typer.Option("--sandbox", help="send to stand-ins for SMTP, Twilio and X; nothing leaves this machine")
    ] = False,
    web: Annotated[bool, typer.Option(help="the HTTP service for unsubscribing and callbacks")] = True,
    witness: Annotated[
        bool, typer.Option("--witness", help="a witness of the log beside it; one on another machine is worth more")
    ] = False,
    projection: Annotated[bool, typer.Option(help="the log as SQL tables, for figures and questions")] = True,
) -> None:
    """Start the broker (unless TOCSIN_BROKER names one), the rooms and the web service; Ctrl-C stops all in order."""
    asyncio.run(_up(Settings(), sandbox, web, witness, projection))


async def _up(settings: Settings, sandbox: bool, web: bool, witness: bool, projection: bool) -> None:
    loop, work = asyncio.get_running_loop(), asyncio.current_task()
    asked = False

    def stop() -> None:
        nonlocal asked
        if not asked and work is not None:  # once: a second Ctrl-C must not interrupt the orderly stop
            asked = True
            _say("stopping: rooms first, the broker last")
            work.cancel()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop)
    try:
        async with Supervisor(
            settings, sandbox=sandbox, web=web, witness=witness, projection=projection, say=_say
        ) as supervisor:
            await supervisor.ready()
            _say_where(supervisor)
            await asyncio.Event().wait()
    except asyncio.CancelledError:
        if not asked:
            raise
        _say("stopped")


def _say_where(supervisor: Supervisor) -> None:
    _say(f"ready: {', '.join(supervisor.processes)}; logs in {supervisor.settings.data_dir / 'logs'}")
    if supervisor.web_url:
        _say(f"web    {supervisor.web_url}")
    if supervisor.inbox_url:
        _say(f"inbox  {supervisor.inbox_url}")
    _say("Ctrl-C stops everything")


def _say(line: str) -> None:
    print(line, flush=True)
