"""`tocsin projector`: keeps the SQL projection up with the log."""

import asyncio
import os
import signal

from pipeline.private_keys import keys_of
from pipeline.settings import Settings


def projector() -> None:
    """Follow the log into SQL tables: SQLite in the data directory, or PostgreSQL at TOCSIN_DATABASE_URL.

    With TOCSIN_METRICS_PORT it serves /metrics for Prometheus as well.
    """
    from pipeline.web import logs

    logs.configure()
    keys_of("projector")
    asyncio.run(_project(Settings()))


async def _project(settings: Settings) -> None:
    from pipeline.broker import runfile
    from pipeline.commands.lag import projection_lag
    from pipeline.honesty.serving import serving
    from pipeline.projection.projector import Projector

    ready = runfile.run_dir(settings.data_dir) / "projector.ready"
    async with serving(settings, lambda: projection_lag(settings)) as port:
        work = Projector(settings, lambda: runfile.write_own(ready, metrics_port=port))
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, work.stop)
        try:
            await work.run()
        finally:
            if (said := runfile.read(ready)) is not None and said["pid"] == os.getpid():
                ready.unlink(missing_ok=True)
