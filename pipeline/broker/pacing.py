"""A pause between empty fetches, for the embedded broker.

Kafka holds a fetch that finds nothing back for `fetch_max_wait_ms`; noida-db answers it at once, and the client asks
again: some 2,500 times a second, half a core for every consumer that has nothing to do.
"""

import asyncio
import time
from typing import Any

from aiokafka.consumer.fetcher import Fetcher

EMPTY_FETCH_S = 0.005
"""What an empty fetch takes at least: the price is half of it, on average, on a record that comes after silence."""


def pace_fetches() -> None:
    """Makes every consumer of this process pause after a fetch that found nothing. Once is enough; more is harmless.

    A broker that holds empty fetches back is not slowed down. aiokafka has no setting for it, hence the private method.
    """
    fetch = Fetcher._proc_fetch_request
    if getattr(fetch, "paced", False):
        return

    async def paced(self: Any, *request: Any) -> bool:
        begun = time.monotonic()
        found = bool(await fetch(self, *request))
        if not found:
            try:
                await asyncio.sleep(max(0.0, EMPTY_FETCH_S - (time.monotonic() - begun)))
            except asyncio.CancelledError:
                pass  # as in the method itself: whoever cancels a fetch awaits it and expects no exception
        return found

    paced.paced = True  # type: ignore[attr-defined]
    Fetcher._proc_fetch_request = paced
