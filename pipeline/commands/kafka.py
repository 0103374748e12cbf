"""`tocsin kafka`: Apache Kafka on this machine without Docker, until Ctrl-C."""

import asyncio
import signal
from pathlib import Path
from typing import Annotated

import typer

from pipeline.broker.kafka import JARS, ApacheKafka, fetch_jars, java
from pipeline.errors import BrokerError
from pipeline.settings import Settings


def kafka(
    data_dir: Annotated[
        Path | None, typer.Option(help="where it keeps its data; unset: kafka/ in TOCSIN_DATA_DIR", file_okay=False)
    ] = None,
) -> None:
    """Run Apache Kafka in KRaft mode (Java 17; Maven fetches it the first time). Prints how to point Tocsin at it."""
    java()
    if not JARS.exists():
        print("fetching Apache Kafka from Maven Central", flush=True)
    broker = ApacheKafka((data_dir or Settings().data_dir).resolve(), fetch_jars())
    asyncio.run(_serve(broker))


async def _serve(broker: ApacheKafka) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with broker:
        print(f"Apache Kafka runs, its data in {broker.store}. In another terminal:\n")
        print(f"export TOCSIN_BROKER=kafka://{broker.bootstrap}\n")
        print("Ctrl-C stops it; what it holds stays", flush=True)
        while not stopped.is_set():
            if broker.has_died:
                raise BrokerError(f"Apache Kafka died; see {broker.log_file}")
            try:
                await asyncio.wait_for(stopped.wait(), 0.5)
            except TimeoutError:
                pass  # nobody asked; look again whether it lives
