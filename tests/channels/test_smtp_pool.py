"""Connections: they grow with the windows, up to the limit, and are given back when nobody needs them."""

import asyncio
from dataclasses import replace

from pipeline.channels.email import EmailSender, email_settings
from schemas.delivery import Result
from tests.channels.samples import envelope, reader
from tests.channels.smtp_script import Script, playing
from tests.conftest import MakeSettings


def sender_to(port: int, make_settings: MakeSettings, *, connections: int, idle_s: float = 30.0) -> EmailSender:
    made = email_settings(
        make_settings(
            smtp_url=f"smtp://127.0.0.1:{port}", smtp_connections=connections, mail_return_path="b@example.com"
        )
    )
    assert made is not None
    return EmailSender(replace(made, idle_s=idle_s))


async def send(sender: EmailSender, windows: int) -> None:
    answers = await asyncio.gather(
        *(sender.send(envelope(), [reader(10 * w), reader(10 * w + 1)]) for w in range(windows))
    )
    assert {answer.result for window in answers for answer in window} == {Result.ACCEPTED}


async def test_the_pool_grows_with_the_windows_up_to_its_limit_and_keeps_what_it_has(
    make_settings: MakeSettings,
) -> None:
    script = Script()
    async with playing(script) as port:
        sender = sender_to(port, make_settings, connections=3)
        await send(sender, 1)
        assert script.connections == 1
        await send(sender, 8)
        assert script.connections == 3
        await send(sender, 3)
        assert script.connections == 3
        await sender.close()
    assert script.mistakes == []


async def test_what_nobody_needs_any_more_says_goodbye(make_settings: MakeSettings) -> None:
    script = Script()
    async with playing(script) as port:
        sender = sender_to(port, make_settings, connections=4, idle_s=0.05)
        await send(sender, 4)
        assert sender._pool.idle == 4
        async with asyncio.timeout(5):
            while script.farewells < 4:
                await asyncio.sleep(0.01)
        assert sender._pool.idle == 0
        await send(sender, 1)
        assert script.connections == 5
        await sender.close()
        assert script.farewells == 5
