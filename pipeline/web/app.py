"""The routes. Whatever is answered with success stands in the broker: nothing is promised that could be lost."""

import asyncio
from collections.abc import Awaitable, Callable
from email.utils import parseaddr

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, PlainTextResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from pipeline.clock import Clock, now
from pipeline.errors import BrokerError
from pipeline.registrations import Refused
from pipeline.settings import Settings
from pipeline.subscribers import event_record
from pipeline.vault import Vault
from pipeline.web import pages, signup, twilio
from pipeline.web.limits import Limits, Once
from pipeline.web.shield import Shield
from pipeline.web.words import language_of
from schemas import codec, topics
from schemas.base import Channel
from schemas.codec import Outgoing
from schemas.ids import derived
from schemas.subscriber import Confirmed, Unsubscribed

Publish = Callable[[Outgoing], Awaitable[None]]
SOURCE = "/tocsin/web"
RETRY_AFTER_S = 10


def create_app(settings: Settings, vault: Vault, publish: Publish, clock: Clock = now) -> ASGIApp:
    """The service. `publish` returns once the broker has the record, and raises BrokerError otherwise."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    _add_unsubscribe(app, vault, publish, clock)
    _add_lists(app, vault)
    _add_confirm(app, vault, publish, clock)
    _add_sign_up(app, settings, vault, publish, clock)
    _add_twilio(app, settings, vault, publish, clock)

    @app.get("/health")
    async def health() -> PlainTextResponse:
        return PlainTextResponse("ok\n")

    @app.exception_handler(BrokerError)
    async def later(request: Request, _error: BrokerError) -> Response:
        again = {"Retry-After": str(RETRY_AFTER_S)}
        if _wants_page(request):
            return HTMLResponse(pages.try_again(_language(request)), 503, again)
        return PlainTextResponse("nothing was saved; try again later\n", 503, again)

    return Shield(app, _headers(settings))


def _headers(settings: Settings) -> list[tuple[str, str]]:
    headers = [
        ("Content-Security-Policy", pages.SECURITY_POLICY),
        ("Referrer-Policy", "no-referrer"),
        ("X-Content-Type-Options", "nosniff"),
        ("X-Frame-Options", "DENY"),
        ("X-Robots-Tag", "noindex"),
        ("Cache-Control", "no-store"),
        ("Vary", "Accept-Language"),
    ]
    if settings.public_url.startswith("https://"):
        headers.append(("Strict-Transport-Security", "max-age=31536000"))
    return headers


def _language(request: Request) -> str:
    return language_of(request.headers.get("accept-language"))


def _wants_page(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")


def _add_unsubscribe(app: FastAPI, vault: Vault, publish: Publish, clock: Clock) -> None:
    """RFC 8058: the POST acts at once, without a question, cookie or redirect; the GET changes nothing."""

    def holder(token: str) -> tuple[str, Channel]:
        if (found := vault.read_link_token(token, "unsubscribe")) is None:
            raise HTTPException(404)
        return found

    @app.get("/u/{token}")
    async def ask(token: str, request: Request) -> HTMLResponse:
        return HTMLResponse(pages.ask(holder(token)[1], _language(request)))

    @app.post("/u/{token}")
    async def unsubscribe(token: str, request: Request) -> Response:
        subscriber_id, channel = holder(token)
        form = await request.form(max_files=0, max_fields=10)  # urlencoded or multipart: RFC 8058 allows both
        if form.get("List-Unsubscribe") != "One-Click":
            raise HTTPException(400)
        await publish(
            event_record(subscriber_id, Unsubscribed(channel=channel, via="one-click"), clock(), source=SOURCE)
        )
        if _wants_page(request):
            return HTMLResponse(pages.done(channel, _language(request)))
        return PlainTextResponse("unsubscribed\n")

    @app.exception_handler(404)
    async def not_found(request: Request, _error: Exception) -> Response:
        return (
            HTMLResponse(pages.unknown(_language(request)), 404)
            if _wants_page(request)
            else PlainTextResponse("not found\n", 404)
        )


def _add_lists(app: FastAPI, vault: Vault) -> None:
    """One member cannot unsubscribe all: the link in a list's mail leads to whom to ask, and to nothing else."""

    @app.get("/l/{token}")
    async def whom_to_ask(token: str, request: Request) -> HTMLResponse:
        if vault.read_link_token(token, "list") is None:
            raise HTTPException(404)
        return HTMLResponse(pages.whom_to_ask(_language(request)))


def _add_confirm(app: FastAPI, vault: Vault, publish: Publish, clock: Clock) -> None:
    """Double opt-in. The GET changes nothing, since mail scanners open every link; the POST confirms."""

    def holder(token: str) -> tuple[str, Channel, str]:
        if (found := vault.read_confirm_token(token, clock())) is None:
            raise HTTPException(404)
        return found

    @app.get("/c/{token}")
    async def ask_to_confirm(token: str, request: Request) -> HTMLResponse:
        return HTMLResponse(pages.ask_to_confirm(holder(token)[1], _language(request)))

    @app.post("/c/{token}")
    async def confirm(token: str, request: Request) -> Response:
        subscriber_id, channel, address = holder(token)
        form = await request.form(max_files=0, max_fields=10)
        if form.get(pages.CONFIRM[0]) != pages.CONFIRM[1]:
            raise HTTPException(400)
        event = Confirmed(channels=(channel,), address_tokens={channel: address})
        await publish(event_record(subscriber_id, event, clock(), source=SOURCE))
        return HTMLResponse(pages.confirmed(channel, _language(request)))


def _add_sign_up(app: FastAPI, settings: Settings, vault: Vault, publish: Publish, clock: Clock) -> None:
    """The form by which people come by themselves, where an audience is named for them.

    There is no session, so that a foreign page gains nothing by posting here that it could not post itself, but the
    limit of its visitor: a browser says when it is sent from another site, and is refused then.
    """
    audience = settings.signup_audience
    if audience is None:
        return
    channels = (Channel.EMAIL, Channel.SMS) if settings.signup_sms else (Channel.EMAIL,)
    name = parseaddr(settings.mail_from)[0] or settings.public_url
    limits, once = Limits(settings.signup_per_client_per_hour, settings.signup_per_hour), Once()

    @app.get("/subscribe")
    async def form(request: Request) -> HTMLResponse:
        return HTMLResponse(pages.sign_up(name, _language(request), channels))

    @app.post("/subscribe")
    async def subscribe(request: Request) -> HTMLResponse:
        language, at = _language(request), clock()
        if request.headers.get("sec-fetch-site") == "cross-site":
            raise HTTPException(403)
        if not limits.takes(request.client.host if request.client else "", at):
            return HTMLResponse(pages.too_often(language), 429, {"Retry-After": "3600"})
        posted = await request.form(max_files=0, max_fields=20)
        given = {field: value for field, value in posted.items() if isinstance(value, str)}
        if given.get(signup.TRAP):
            return HTMLResponse(pages.asked(language))
        try:
            found = signup.read(given, audience, channels)
        except Refused as refused:
            field = str(refused).partition(":")[0]
            return HTMLResponse(pages.sign_up(name, language, channels, given, field), 400)
        for row in found:
            id_ = signup.name_for(vault, row, at)
            if once.first(id_, at):
                made = signup.sign_up(vault, row, id_, at, SOURCE)
                await publish(made.key)
                await publish(made.event)
                once.done(id_)
        return HTMLResponse(pages.asked(language))


def _add_twilio(app: FastAPI, settings: Settings, vault: Vault, publish: Publish, clock: Clock) -> None:
    secret = settings.twilio_auth_token
    auth_token = secret.get_secret_value() if secret is not None else None
    our_name = parseaddr(settings.mail_from)[0] or settings.public_url

    async def signed_form(request: Request) -> twilio.Form:
        try:
            form = twilio.Form.parse(await request.body())
        except ValueError:
            raise HTTPException(400) from None
        if not twilio.is_from_twilio(
            auth_token, _public(request, settings), form, request.headers.get("x-twilio-signature")
        ):
            raise HTTPException(403)
        return form

    @app.post("/twilio/status")
    async def status(request: Request, d: str = "") -> Response:
        form = await signed_form(request)
        target = vault.read_callback_token(d)
        if target is None or target[1] >= settings.partitions:
            raise HTTPException(404)
        intent_id, partition = target
        report = twilio.reported(form, intent_id, clock())
        if report is None:
            raise HTTPException(400)
        await publish(
            codec.encode(
                topics.PROVIDER_RECEIPTS,
                report,
                # Twilio repeats itself, and out of order: the same status of the same message is the same record.
                id=derived("receipt", report.provider_id, report.status),
                source=SOURCE,
                subject=intent_id,
                time=report.at,
                partition=partition,
            )
        )
        return Response(status_code=204)

    @app.post("/twilio/inbound")
    async def inbound(request: Request) -> Response:
        form = await signed_form(request)
        heard = twilio.keyword_received(form, vault, clock())
        if heard is not None:
            copies = [
                codec.encode(
                    topics.PROVIDER_RECEIPTS,
                    heard,
                    id=derived("keyword", heard.provider_id, partition),
                    source=SOURCE,
                    subject=heard.provider_id,
                    time=heard.at,
                    partition=partition,
                )
                for partition in range(settings.partitions)
            ]
            await asyncio.gather(*map(publish, copies))
        return Response(twilio.answer_to_help(form, our_name), media_type="text/xml")


def _public(request: Request, settings: Settings) -> str:
    """The URL as Twilio has it from us; what a proxy, or a forger, says in forwarded headers counts for nothing."""
    raw_path: bytes = request.scope["raw_path"]
    query: bytes = request.scope["query_string"]
    return settings.public_url.rstrip("/") + (raw_path + (b"?" + query if query else b"")).decode("latin-1")
