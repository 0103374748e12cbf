"""Waiting for a broker: it is ready when it answers a metadata request, not when a time has passed."""

import asyncio
from collections.abc import Callable

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from pipeline.errors import BrokerUnreachable

PROBE_S = 0.02


async def await_ready(bootstrap: str, timeout_s: float, alive: Callable[[], bool]) -> None:
    """Returns once the broker at `host:port` answers. Raises BrokerUnreachable: its process ended, or time is up."""
    host, _, port = bootstrap.rpartition(":")
    try:
        async with asyncio.timeout(timeout_s):
            while not (await _listens(host, int(port)) and await _answers(bootstrap)):
                if not alive():
                    raise BrokerUnreachable("its process has ended")
                await asyncio.sleep(PROBE_S)
    except TimeoutError:
        raise BrokerUnreachable(f"no answer at {bootstrap} within {timeout_s:.0f} s") from None


async def _listens(host: str, port: int) -> bool:
    """A plain connection first: the client logs an error for each one refused, which would look like a fault."""
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    return True


async def _answers(bootstrap: str) -> bool:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        await admin.start()
        cluster = await admin.describe_cluster()
    except KafkaError:
        return False
    finally:
        await admin.close()
    return bool(cluster["brokers"])
