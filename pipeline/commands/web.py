"""`tocsin web`: the HTTP service for unsubscribing and for what Twilio calls back."""

import asyncio

from pipeline.private_keys import keys_of
from pipeline.settings import Settings


def web() -> None:
    """The HTTP service: one-click unsubscribing, Twilio's status callbacks and STOP; beside it mail to the return path.

    Listens on TOCSIN_WEB_HOST and TOCSIN_WEB_PORT; TOCSIN_PUBLIC_URL is where the outside reaches it. Bounces come to
    TOCSIN_BOUNCE_PORT, where that is set.
    """
    from pipeline.web import logs, serve

    logs.configure()
    keys_of("web")
    asyncio.run(serve.serve(Settings()))
