"""Posts on X: a burst of incidents through everything, against the sandbox's X, whose limits are lifted.

An account posts one after another, so that posts stand in their order; no concurrency is to be had. Ours is the whole
way, deciding included: as many incidents as posts, since X refuses a text that it has seen; so what bounds it where X
answers at once is deciding and fan-out, which every incident costs. No account may post more than once in nine seconds.
Beside it, against the same double: our adapter without all that, and tweepy's own asynchronous client in a bare loop.
"""

import asyncio
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any, Final

from tweepy.asynchronous import AsyncClient

from pipeline.bench.figures import Measured, medians, rate
from pipeline.bench.providers import DELAYS_MS, TEXT, envelope, of_doubles, side_by_side, whole
from pipeline.bench.sinks import doubles
from pipeline.channels.base import Recipient
from pipeline.channels.x import Session, XSender, XSettings, x_settings
from pipeline.errors import ConfigurationError, TocsinError
from pipeline.text.post import weighted_length
from schemas.delivery import Result
from schemas.rendering import PostContent

POSTS: Final = 200
ACCOUNT: Final = Recipient(subscriber="account", intent_id="0" * 32, partition=0, address="status")


def measure(runs: int) -> Iterator[Measured]:
    """Posts a second, where X answers at once and where it takes 50 ms."""
    for delay_ms in DELAYS_MS:
        with doubles(delay_ms) as given:
            broker, rates = asyncio.run(
                whole(given, runs, reached=_account, audience="public", readers=1, incidents=POSTS)
            )
            settings = x_settings(of_doubles(given))
            if settings is None:
                raise ConfigurationError("the X channel is not set up")
            found = medians([{"ours": ours, **_peers(settings, run)} for run, ours in enumerate(rates)])
        name = f"x_{delay_ms}ms" if delay_ms else "x"
        about = {"broker": broker, "posts": f"{POSTS:,}", "tweepy": version("tweepy")}
        yield Measured(name, "posts/s", found.pop("ours"), found, about)


def _account(_number: int) -> dict[str, str]:
    return {"x_handle": "status"}


def _peers(settings: XSettings, run: int) -> dict[str, float]:
    return {
        "tweepy, one after another": rate(lambda: asyncio.run(_client(settings, run)), POSTS),
        "our adapter alone": rate(lambda: asyncio.run(_adapter(settings, run)), POSTS),
    }


async def _client(settings: XSettings, run: int) -> None:
    """The library as its own documentation has it; only its host is another one."""
    client = AsyncClient(
        consumer_key=settings.consumer_key,
        consumer_secret=settings.consumer_secret,
        access_token=settings.access_token,
        access_token_secret=settings.access_token_secret,
        return_type=dict,
    )
    client.session = Session(settings)

    async def call(number: int) -> Any:
        return await client.create_tweet(text=f"tweepy {run}, {number}: {TEXT}", user_auth=True)

    try:
        await side_by_side(call, POSTS, 1)
    finally:
        await client.session.close()


async def _adapter(settings: XSettings, run: int) -> None:
    sender = XSender(settings)

    async def call(number: int) -> None:
        text = f"ours {run}, {number}: {TEXT}"
        said = PostContent(text=text, weighted_length=weighted_length(text))
        (answer,) = await sender.send(envelope(said), [ACCOUNT])
        if answer.result is not Result.ACCEPTED:
            raise TocsinError(f"a post was not taken: {answer}")

    await side_by_side(call, POSTS, 1)
    await sender.close()
