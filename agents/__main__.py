"""`python -m agents ROOM`: one process, one room. Imports that room only."""

import asyncio
import contextlib
import importlib
import logging
import sys

import faust

from agents.app import EXIT_CRASHED, unready
from pipeline import failpoints
from pipeline.broker import topics
from pipeline.broker.pacing import pace_fetches
from pipeline.broker.rooms import room_lock
from pipeline.errors import TocsinError
from pipeline.private_keys import keys_of
from pipeline.settings import Settings

ROOMS = ("decide", "deliver", "record")


def main() -> None:
    """Runs a room until SIGTERM or SIGINT."""
    if len(sys.argv) != 2 or sys.argv[1] not in ROOMS:
        sys.exit(f"usage: python -m agents {'|'.join(ROOMS)}")
    room = sys.argv[1]
    settings = Settings()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr)
    for noisy in ("aiokafka", "faust", "mode", "aiohttp", "tweepy", "twilio", "urllib3", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)  # at DEBUG, tweepy prints its token
    try:
        with contextlib.ExitStack() as held:
            keys_of(room)
            held.enter_context(room_lock(settings, room))
            unready(settings, (room,))
            if settings.broker is None:
                pace_fetches()
            _check_topics(settings)
            failpoints.arm(settings.failpoint, settings.data_dir / "run")
            app = importlib.import_module(f"agents.{room}").build(settings)
            worker = faust.Worker(app, loglevel="WARNING", override_logging=False)
            worker.execute_from_commandline()
    except TocsinError as error:
        sys.stderr.write(f"tocsin {room}: {error}\n")
        sys.exit(1)
    finally:
        unready(settings, (room,))
    sys.exit(EXIT_CRASHED)


def _check_topics(settings: Settings) -> None:
    """A room on topics of another shape would fold and own the wrong things: it says so instead of starting."""
    with asyncio.Runner() as runner:
        runner.run(topics.ensure(settings))
    asyncio.set_event_loop(asyncio.new_event_loop())  # the runner leaves none, and Faust's worker takes the current one


if __name__ == "__main__":
    main()
