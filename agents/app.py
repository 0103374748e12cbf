"""What the rooms share: a Faust app that loses nothing, and the ways a worker becomes ready or ends.

The settings that matter are in one place here, each with the reason (shared findings about faust-streaming 0.15).
"""

import asyncio
import gc
import logging
import os
import sys
import traceback
from collections.abc import Coroutine, Iterable
from pathlib import Path
from typing import Any

import faust
from faust.types.auth import AuthProtocol

from pipeline.broker import connect
from pipeline.errors import ConfigurationError
from pipeline.settings import Settings, worker_name

log = logging.getLogger("tocsin")

EXIT_CRASHED = 70  # EX_SOFTWARE of sysexits.h
COLLECT_AFTER = (50_000, 20, 50)
"""Of the garbage collector: a batch in hand is some thousand objects that refer to nothing of their own kind, and with
Python's 700 each of its mails pays a sixth of its time for being looked through again and again."""


def make_app(settings: Settings, room: str) -> faust.App:
    """A Faust app for `room`: raw bytes, no web server, nothing declared on the fly, at least once."""
    member = settings.worker_id if settings.worker_number == 1 else f"{settings.worker_id}.{settings.worker_number}"
    datadir = settings.data_dir / "run" / "faust" / f"{room}-{member}"
    datadir.mkdir(parents=True, exist_ok=True)
    return faust.App(
        f"tocsin-{room}",
        broker=[f"kafka://{address}" for address in connect.bootstrap(settings).split(",")],
        broker_credentials=_credentials(settings),
        # a static member comes back to its partitions without a rebalance; the embedded broker never expires a dead
        # member, so that only the same id can return
        consumer_group_instance_id=f"tocsin-{room}-{member}",
        key_serializer="raw",
        value_serializer="raw",
        web_enabled=False,  # it listens on 0.0.0.0 and shows tables
        topic_allow_declare=False,  # topics are created and checked by pipeline.broker.topics
        topic_disable_leader=True,
        store="memory://",
        datadir=str(datadir),
        table_standby_replicas=1,  # above 0 Faust's own assignor is used, which assigns equal partitions together
        broker_commit_interval=0.2,  # a kill repeats what was not committed: 56-600 records at 0.1-0.5 s
        broker_session_timeout=settings.session_timeout_s,
        broker_heartbeat_interval=settings.session_timeout_s / 10,
        broker_request_timeout=max(90.0, settings.session_timeout_s * 2),
        broker_max_poll_interval=3600.0,  # a batch may wait for a slow relay; liveness is the heartbeat's
        stream_buffer_maxsize=64,  # small: an urgent record must not stand behind a full buffer
        stream_wait_empty=False,  # it waits for every buffered record; a room lets its own work end (see deliver)
        stream_processing_timeout=3600.0,
        producer_acks=-1,
    )


def _credentials(settings: Settings) -> Any:
    if settings.broker_security == "PLAINTEXT":
        return None
    options = connect.client_options(settings)
    if settings.broker_security == "SSL":
        return faust.SSLCredentials(context=options["ssl_context"])
    if settings.broker_sasl_username is None or settings.broker_sasl_password is None:
        raise ConfigurationError("SASL needs TOCSIN_BROKER_SASL_USERNAME and TOCSIN_BROKER_SASL_PASSWORD")
    credentials = faust.SASLCredentials(
        mechanism=settings.broker_sasl_mechanism,
        username=settings.broker_sasl_username,
        password=settings.broker_sasl_password.get_secret_value(),
        ssl_context=options.get("ssl_context"),
    )
    credentials.protocol = AuthProtocol(settings.broker_security)
    return credentials


def ready(settings: Settings, room: str) -> None:
    """Says that this worker has its partitions and has folded its past: `<data_dir>/run/WORKER.ready` holds its pid."""
    settle()
    path = _ready_file(settings, room)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{os.getpid()}\n")


def settle() -> None:
    """What this process has read by now it keeps: no collection looks through it again (`gc.freeze`)."""
    gc.set_threshold(*COLLECT_AFTER)
    gc.freeze()


def unready(settings: Settings, rooms: Iterable[str]) -> None:
    """Takes the word back, at start: a file of an earlier process must not speak for this one."""
    for room in rooms:
        _ready_file(settings, room).unlink(missing_ok=True)


def _ready_file(settings: Settings, room: str) -> Path:
    return settings.data_dir / "run" / f"{worker_name(room, settings.worker_number)}.ready"


def die(error: BaseException) -> None:
    """Ends the process at once, acknowledging nothing: whatever was in hand is delivered again after the restart.

    Faust would acknowledge the event of a failed agent and go on; a crash loses nothing.
    """
    log.critical("worker ends: %s: %s", type(error).__name__, error)
    traceback.print_exception(error, file=sys.stderr)
    sys.stderr.flush()
    os._exit(EXIT_CRASHED)


class Background:
    """Work beside the agents. An error in it ends the process, as one in an agent does."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Starts `work` and keeps hold of it."""
        task = asyncio.create_task(_guarded(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _guarded(work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except asyncio.CancelledError:
        raise
    except Exception as error:
        die(error)
