"""The embedded broker: noida-db's Kafka, one process of ours on a port of this machine.

It keeps its data across restarts (SIGTERM saves), not across a crash of its own: after one, what this machine wrote is
put back from the spare copy. It serves one worker per room and small volumes; whatever needs more is pointed at Apache
Kafka by TOCSIN_BROKER.
"""

import asyncio
import os
from importlib.resources import files
from pathlib import Path

from pipeline.broker import spare
from pipeline.broker.process import BrokerProcess
from pipeline.errors import BrokerError
from pipeline.settings import bare_environment

CAVEAT = "keeps your data across restarts; after a crash of it, what other programs wrote last may be lost"
"""Said at every start."""


class EmbeddedBroker(BrokerProcess):
    """noida-db on `<data_dir>/broker`."""

    NAME = "broker"
    SAID = "the embedded broker"
    owes = False
    """Whether its topics may lack what the spare copy has: from a start with such a copy until that is put back."""

    async def start(self) -> None:
        """Starts the broker and returns once it answers a metadata request; raises as every broker's does."""
        self.owes = spare.is_there(self.data_dir)
        await super().start()

    def command(self, port: int) -> list[str]:
        """In the foreground and Kafka alone: noida-db speaks other databases' protocols too."""
        where = ["--data-dir", str(self.store), "--kafka-port", str(port), "--host", "127.0.0.1"]
        return [str(binary()), "start", "--only", "kafka", *where]

    async def quiesce(self) -> None:
        """Stops the service inside the process first.

        On SIGTERM alone it goes on acknowledging while it saves, and loses that: 165-222 of 15,000 records a run.
        """
        stop = await asyncio.create_subprocess_exec(
            *(str(binary()), "stop", "kafka", "--data-dir", str(self.store)),
            env=bare_environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        await stop.wait()

    def saved(self) -> None:
        """It has everything on disk itself, unless it was stopped before it had been given back what it had lost."""
        if not self.owes:
            spare.drop(self.data_dir)


def binary() -> Path:
    """The executable inside the noida-db package, as its own console script finds it. Raises BrokerError."""
    path = Path(str(files("noida_db").joinpath("noida-db.exe" if os.name == "nt" else "noida-db")))
    if not path.is_file():
        raise BrokerError(f"the package noida-db has no executable at {path}: pip install --force-reinstall noida-db")
    if not os.access(path, os.X_OK):
        path.chmod(0o755)
    return path
