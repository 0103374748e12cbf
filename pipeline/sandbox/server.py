"""The sandbox: the three doubles on free ports of this machine, with their truth, faults and inbox."""

import ssl
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Self, TypeVar

from aiohttp import web

from pipeline.clock import Clock, now
from pipeline.sandbox.callbacks import Callbacks
from pipeline.sandbox.control import Control
from pipeline.sandbox.faults import Fault, FaultBook, Service
from pipeline.sandbox.shared import Desk
from pipeline.sandbox.smtp import SmtpDouble, Tls
from pipeline.sandbox.truth import Callback, Fired, Inbound, Mail, Post, Text, Truth
from pipeline.sandbox.twilio import TwilioDouble, new_sid
from pipeline.sandbox.wire import self_signed
from pipeline.sandbox.x import POSTS_PER_WINDOW, XDouble

T = TypeVar("T")

HOST = "127.0.0.1"
NUMBER = "+15005550006"
ACCOUNT_SID = "AC" + "5a" * 16
NO_LIMIT = str(1_000_000)
"""The doubles take what this machine can, and cost nothing."""
AUTH_TOKEN = "sandbox-auth-token"  # noqa: S105 - nothing that it opens leaves this machine
X_KEYS = {
    "X_CONSUMER_KEY": "sandbox-consumer-key",
    "X_CONSUMER_SECRET": "sandbox-consumer-secret",
    "X_ACCESS_TOKEN": "sandbox-access-token",
    "X_ACCESS_TOKEN_SECRET": "sandbox-access-token-secret",
}
UNBOUNDED = (
    *("SMS_PER_S", "SMS_CAP_PER_INCIDENT", "SMS_CAP_PER_DAY"),
    *("X_POSTS_PER_DAY", "X_CAP_PER_INCIDENT", "X_CAP_PER_DAY"),
)
SHUTDOWN_S = 2.0
SUBJECT_KEPT = 200
"""Characters of what a fault hit that its record keeps."""


class Sandbox:
    """An async context manager; ports of 0 are free ones. Raises OSError where a given port is taken.

    With `directory`, every record also goes to `truth.jsonl` there, and an earlier run's is continued.
    `tls`: none, starttls (offered) or implicit, with a certificate that only `certificate_pem` makes trusted.
    """

    def __init__(
        self,
        directory: Path | None = None,
        *,
        clock: Clock = now,
        auth_token: str = AUTH_TOKEN,
        smtp_port: int = 0,
        http_port: int = 0,
        tls: Tls = "none",
        pipelining: bool = True,
        smtputf8: bool = False,
        x_posts_per_window: int = POSTS_PER_WINDOW,
    ) -> None:
        self._auth_token = auth_token
        self._x_posts_per_window = x_posts_per_window
        self._tls: Tls = tls
        self._context: ssl.SSLContext | None = None
        self.certificate_pem = ""
        if tls != "none":
            self._context, self.certificate_pem = self_signed()
        self.smtp_port = smtp_port
        self.http_port = http_port
        self.truth = Truth(clock, directory)
        self._faults = FaultBook(self._on_fire)
        self._desk = Desk(self.truth, self._faults)
        self._callbacks = Callbacks(self.truth, ACCOUNT_SID, auth_token)
        self._smtp = SmtpDouble(self.truth, self._faults, pipelining=pipelining, smtputf8=smtputf8)
        app = web.Application()
        twilio = TwilioDouble(self._desk, self._callbacks, ACCOUNT_SID, auth_token, NUMBER)
        x = XDouble(self._desk, X_KEYS["X_CONSUMER_KEY"], X_KEYS["X_ACCESS_TOKEN"], x_posts_per_window)
        app.add_routes([*twilio.routes(), *x.routes(), *Control(self._desk, self.inbound).routes()])
        # Cancelled handlers: a client that hangs up while it is left hanging must leave nothing behind.
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=SHUTDOWN_S)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Opens both ports."""
        try:
            self.smtp_port = await self._smtp.start(self.smtp_port, self._tls, self._context)
            await self._callbacks.start()
            await self._runner.setup()
            await web.TCPSite(self._runner, HOST, self.http_port).start()
        except OSError:
            await self.stop()
            raise
        self.http_port = int(self._runner.addresses[0][1])

    async def stop(self) -> None:
        """Breaks what still hangs and closes everything."""
        self._desk.closing.set()
        await self._smtp.stop()
        await self._callbacks.stop()
        await self._runner.cleanup()
        self.truth.close()

    @property
    def smtp_url(self) -> str:
        """For TOCSIN_SMTP_URL."""
        scheme = {"none": "smtp", "starttls": "smtp+starttls", "implicit": "smtps"}[self._tls]
        return f"{scheme}://{HOST}:{self.smtp_port}"

    @property
    def inbox_url(self) -> str:
        """The page that shows what came."""
        return f"http://{HOST}:{self.http_port}/"

    @property
    def twilio_url(self) -> str:
        """What stands in for https://api.twilio.com."""
        return self.inbox_url.rstrip("/")

    @property
    def x_url(self) -> str:
        """What stands in for https://api.x.com."""
        return self.twilio_url

    def settings_env(self) -> dict[str, str]:
        """The environment that points Tocsin here."""
        return {
            "TOCSIN_SANDBOX": "1",
            "TOCSIN_SMTP_URL": self.smtp_url,
            "TOCSIN_TWILIO_BASE_URL": self.twilio_url,
            "TOCSIN_TWILIO_ACCOUNT_SID": ACCOUNT_SID,
            "TOCSIN_TWILIO_AUTH_TOKEN": self._auth_token,
            "TOCSIN_TWILIO_FROM": NUMBER,
            "TOCSIN_X_POSTS_PER_QUARTER_HOUR": str(self._x_posts_per_window),
            **{f"TOCSIN_{name}": NO_LIMIT for name in UNBOUNDED},
            "TOCSIN_X_BASE_URL": self.x_url,
            **{f"TOCSIN_{name}": value for name, value in X_KEYS.items()},
        }

    @property
    def mails(self) -> list[Mail]:
        """All that were kept, in order."""
        return self.truth.mails

    @property
    def texts(self) -> list[Text]:
        """All SMS that were kept, in order, each with its statuses so far."""
        return self.truth.texts

    @property
    def posts(self) -> list[Post]:
        """All that were kept, in order."""
        return self.truth.posts

    @property
    def callbacks(self) -> list[Callback]:
        """The requests that the Twilio double made, in order, and how they were answered."""
        return self.truth.callbacks

    def fault(self, service: Service, kind: str, **options: Any) -> Fault:
        """Arms one fault; `pipeline.sandbox.faults` lists them. Raises pydantic.ValidationError."""
        fault = Fault(service=service, kind=kind, **options)
        self._faults.arm(fault)
        return fault

    def expect(self, faults: Iterable[Fault]) -> None:
        """Arms several."""
        for fault in faults:
            self._faults.arm(fault)

    def clear_faults(self) -> None:
        """From now on all goes well."""
        self._faults.clear()

    def fired(self, kind: str | None = None) -> list[Fired]:
        """The faults that were shown so far. A test whose fault never fired has shown nothing."""
        return [record for record in self.truth.fired if kind in {None, record.fault.kind}]

    async def wait_for(self, predicate: Callable[[], T], timeout: float = 10.0) -> T:
        """The predicate's first true answer, asked again after every record. Raises TimeoutError after seconds."""
        return await self.truth.wait_for(predicate, timeout)

    async def progress(self, sid: str, *statuses: str, code: int | None = None) -> None:
        """Moves an SMS that is stuck through these statuses; returns once the callbacks were made. Raises KeyError."""
        text = self.truth.text(sid)
        if text is None:
            raise KeyError(sid)
        await self._callbacks.progress(text, statuses, code)

    async def inbound(self, sender: str, body: str, url: str) -> Callback:
        """Somebody sends us an SMS; a keyword such as STOP also takes effect here, as it does at Twilio."""
        sid = new_sid("SM", len(self.truth.records), self.truth.now())
        message = self.truth.keep(Inbound, sid=sid, sender=sender, to=NUMBER, body=body)
        return await self._callbacks.inbound(message, url)

    def _on_fire(self, fault: Fault, subject: str) -> None:
        self.truth.keep(Fired, fault=fault, subject=subject[:SUBJECT_KEPT])
