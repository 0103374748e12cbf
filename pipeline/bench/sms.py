"""Text messages: one notice to many, through everything, against the sandbox's Twilio, whose limit is lifted.

Ours is the whole way: each message has its attempt on the broker before its call, and its outcome after it; how many
calls are under way at once the gate finds by itself. Beside it, against the same double: our adapter without all that,
and twilio's own asynchronous client in a bare loop, one call after another and as many at once as the gate begins with.
"""

import asyncio
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any, Final

from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.rest import Client

from pipeline.bench.figures import Measured, medians, rate
from pipeline.bench.providers import DELAYS_MS, TEXT, envelope, of_doubles, side_by_side, whole
from pipeline.bench.running import phone
from pipeline.bench.sinks import doubles
from pipeline.channels.base import Recipient
from pipeline.channels.sms import SmsSender, SmsSettings, payload, sms_settings
from pipeline.errors import ConfigurationError, TocsinError
from schemas.delivery import Result
from schemas.rendering import SmsContent

MESSAGES: Final = 1_000
AT_ONCE: Final = 16
SAID: Final = SmsContent(text=TEXT, encoding="GSM-7", segments=1)
CALLBACK: Final = "http://127.0.0.1:8025/twilio/status?d=bench"


def measure(runs: int) -> Iterator[Measured]:
    """Messages a second, where the provider answers at once and where it takes 50 ms."""
    for delay_ms in DELAYS_MS:
        with doubles(delay_ms) as given:
            broker, rates = asyncio.run(
                whole(given, runs, reached=phone, audience="customers", readers=MESSAGES, incidents=1)
            )
            settings = sms_settings(of_doubles(given))
            if settings is None:
                raise ConfigurationError("the SMS channel is not set up")
            found = medians([{"ours": ours, **_peers(settings)} for ours in rates])
        name = f"sms_{delay_ms}ms" if delay_ms else "sms"
        about = {"broker": broker, "recipients": f"{MESSAGES:,}", "twilio": version("twilio")}
        yield Measured(name, "messages/s", found.pop("ours"), found, about)


def _peers(settings: SmsSettings) -> dict[str, float]:
    return {
        "twilio, one after another": rate(lambda: asyncio.run(_client(settings, 1)), MESSAGES),
        f"twilio, {AT_ONCE} at once": rate(lambda: asyncio.run(_client(settings, AT_ONCE)), MESSAGES),
        f"our adapter alone, {AT_ONCE} at once": rate(lambda: asyncio.run(_adapter(settings)), MESSAGES),
    }


async def _client(settings: SmsSettings, at_once: int) -> None:
    """The library as its own documentation has it, given the same arguments as ours."""
    http = AsyncTwilioHttpClient()
    client = Client(settings.account_sid, settings.auth_token, http_client=http)
    client.api.base_url = settings.base_url
    said = envelope(SAID)

    async def call(number: int) -> Any:
        return await client.messages.create_async(**payload(said, _reader(number), settings, CALLBACK))

    try:
        await side_by_side(call, MESSAGES, at_once)
    finally:
        await http.close()


async def _adapter(settings: SmsSettings) -> None:
    sender, said = SmsSender(settings, lambda intent, partition: CALLBACK), envelope(SAID)

    async def call(number: int) -> None:
        (answer,) = await sender.send(said, [_reader(number)])
        if answer.result is not Result.ACCEPTED:
            raise TocsinError(f"a message was not taken: {answer}")

    await side_by_side(call, MESSAGES, AT_ONCE)
    await sender.close()


def _reader(number: int) -> Recipient:
    return Recipient(subscriber=f"s{number}", intent_id=f"{number:032x}", partition=0, address=phone(number)["phone"])
