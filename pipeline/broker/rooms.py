"""One worker per room on the embedded broker: it copes with no second one (a killed member blocks its group)."""

from contextlib import AbstractContextManager, nullcontext

from pipeline.broker.locks import held
from pipeline.broker.runfile import run_dir
from pipeline.settings import Settings


def room_lock(settings: Settings, room: str) -> AbstractContextManager[None]:
    """Holds the room for the length of a block; raises AlreadyRunning when it runs already on this data directory.

    With a broker of the user's own, rooms are started as often as wanted, and this does nothing.
    """
    if settings.broker is not None:
        return nullcontext()

    def refusal(pid: int | None) -> str:
        return (
            f"room {room} already runs on this data directory (pid {pid or 'unknown'}); the embedded broker "
            "serves one worker per room: stop that one, or set TOCSIN_BROKER to an Apache Kafka"
        )

    return held(run_dir(settings.data_dir) / f"{room}.lock", refusal)
