"""`python -m agents ROOM`: one process, one room. Imports that room only."""

import contextlib
import importlib
import logging
import sys

import faust

from agents.app import EXIT_CRASHED, unready
from pipeline import failpoints
from pipeline.broker.pacing import pace_fetches
from pipeline.broker.rooms import room_lock
from pipeline.errors import TocsinError
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
            held.enter_context(room_lock(settings, room))
            unready(settings, (room,))
            if settings.broker is None:
                pace_fetches()
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


if __name__ == "__main__":
    main()
