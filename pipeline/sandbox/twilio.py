"""The Twilio double: the two Messages paths of the 2010-04-01 API, checked as Twilio checks, failing as told."""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

from aiohttp import web

from pipeline.sandbox.callbacks import FATES, Callbacks
from pipeline.sandbox.counting import sms_segments
from pipeline.sandbox.faults import KINDS, Fault
from pipeline.sandbox.shared import Desk
from pipeline.sandbox.truth import Text

API_VERSION = "2010-04-01"
MAX_BODY = 1_600

ERRORS: dict[int, tuple[int, str]] = {
    20003: (401, "Authenticate"),
    20404: (404, "The requested resource was not found"),
    20429: (429, "Too Many Requests"),
    20500: (500, "Internal Server Error"),
    20503: (503, "Service unavailable"),
    21211: (400, "Invalid 'To' Phone Number"),
    21212: (400, "Invalid 'From' Phone Number"),
    21602: (400, "Message body is required."),
    21603: (400, "A 'From' phone number is required."),
    21604: (400, "A 'To' phone number is required."),
    21609: (400, "The 'StatusCallback' URL is not a valid URL."),
    21610: (400, "Attempt to send to unsubscribed recipient"),
    21611: (400, "This 'From' number has exceeded the maximum number of queued messages"),
    21617: (400, "The concatenated message body exceeds the 1600 character limit."),
    30005: (400, "Unknown destination handset"),
}
"""Code, then HTTP status and message: twilio.com/docs/api/errors."""

_E164 = re.compile(r"\+[1-9][0-9]{1,14}")
_SERVICE = re.compile(r"MG[0-9a-fA-F]{32}")
_REFUSALS = frozenset(KINDS["twilio"]) - FATES


class TwilioDouble:
    """Keeps SMS and reports on them. `number` sends where the request names a Messaging Service only."""

    def __init__(self, desk: Desk, callbacks: Callbacks, account_sid: str, auth_token: str, number: str) -> None:
        self._desk = desk
        self._callbacks = callbacks
        self._account = account_sid
        self._token = auth_token
        self._number = number

    def routes(self) -> list[web.RouteDef]:
        """The API's paths."""
        base = f"/{API_VERSION}/Accounts/{{account}}/Messages"
        return [
            web.post(f"{base}.json", self._create),
            web.get(f"{base}.json", self._list),
            web.get(f"{base}/{{sid}}.json", self._fetch),
        ]

    async def _create(self, request: web.Request) -> web.Response:
        if not self._allowed(request):
            return error(20003)
        form = {name: str(value) for name, value in (await request.post()).items()}
        subject = f"{form.get('To', '')}\n{form.get('Body', '')}"
        fault = self._desk.faults.take("twilio", _REFUSALS, subject=subject)
        if fault is not None and not fault.kind.endswith("_after_accept"):
            return await self._refuse(request, fault)
        code = _objection(form, self._desk.truth.opted_out)
        if code is not None:
            return error(code)
        text = self._keep(form, answered=fault is None)
        self._callbacks.begin(text, self._desk.faults.take("twilio", FATES, subject=subject))
        if fault is not None:
            return await self._refuse(request, fault)
        return web.json_response(self._resource(text), status=201)

    async def _list(self, request: web.Request) -> web.Response:
        if not self._allowed(request):
            return error(20003)
        query = request.query
        found = [text for text in reversed(self._desk.truth.texts) if _asked_for(text, query)]
        size, page = int(query.get("PageSize", 50)), int(query.get("Page", 0))
        start = page * size
        return web.json_response(
            {
                "messages": [self._resource(text) for text in found[start : start + size]],
                "first_page_uri": _page_uri(request, 0),
                "next_page_uri": _page_uri(request, page + 1) if len(found) > start + size else None,
                "previous_page_uri": _page_uri(request, page - 1) if page else None,
                "uri": request.path_qs,
                "page": page,
                "page_size": size,
                "start": start,
                "end": max(start, min(len(found), start + size) - 1),
            }
        )

    async def _fetch(self, request: web.Request) -> web.Response:
        if not self._allowed(request):
            return error(20003)
        text = self._desk.truth.text(request.match_info["sid"])
        return error(20404) if text is None else web.json_response(self._resource(text))

    async def _refuse(self, request: web.Request, fault: Fault) -> web.Response:
        if fault.kind == "problem":
            return _problem(fault.code or 0)
        if fault.kind in {"error", "error_after_accept"}:
            return error(fault.code or 0, fault.retry_after)
        return await self._desk.fail_on_the_wire(request, fault)

    def _allowed(self, request: web.Request) -> bool:
        given = request.headers.get("Authorization", "")
        right = f"{self._account}:{self._token}".encode()
        expected = f"Basic {base64.b64encode(right).decode()}"
        return request.match_info["account"] == self._account and hmac.compare_digest(given.encode(), expected.encode())

    def _keep(self, form: Mapping[str, str], *, answered: bool) -> Text:
        truth = self._desk.truth
        service = form.get("MessagingServiceSid")
        validity = form.get("ValidityPeriod")
        return truth.keep(
            Text,
            sid=new_sid("SM", len(truth.records), truth.now()),
            to=form["To"],
            sender=form.get("From") or self._number,
            messaging_service_sid=service,
            body=form["Body"],
            status_callback=form.get("StatusCallback"),
            validity_period=int(validity) if validity else None,
            num_segments=sms_segments(form["Body"]),
            statuses=("accepted" if service else "queued",),
            updated_at=truth.now(),
            answered=answered,
        )

    def _resource(self, text: Text) -> dict[str, Any]:
        uri = f"/{API_VERSION}/Accounts/{self._account}/Messages/{text.sid}"
        # With a Messaging Service the sender is chosen later, and the segments are counted only then.
        waiting = text.statuses[-1] == "accepted"
        return {
            "account_sid": self._account,
            "api_version": API_VERSION,
            "body": text.body,
            "date_created": format_datetime(text.at),
            "date_sent": format_datetime(text.sent_at) if text.sent_at else None,
            "date_updated": format_datetime(text.updated_at),
            "direction": "outbound-api",
            "error_code": text.error_code,
            "error_message": ERRORS.get(text.error_code, (0, "Unknown error"))[1] if text.error_code else None,
            "from": None if waiting else text.sender,
            "messaging_service_sid": text.messaging_service_sid,
            "num_media": "0",
            "num_segments": "0" if waiting else str(text.num_segments),
            "price": None,
            "price_unit": "USD",
            "sid": text.sid,
            "status": text.statuses[-1],
            "subresource_uris": {"media": f"{uri}/Media.json"},
            "to": text.to,
            "uri": f"{uri}.json",
        }


def new_sid(prefix: str, count: int, at: datetime) -> str:
    """A sid that no earlier run of the sandbox gave: 34 characters, as all of Twilio's are."""
    return prefix + hashlib.sha256(f"{prefix}/{count}/{at.isoformat()}".encode()).hexdigest()[:32]


def error(code: int, retry_after_s: int | None = None) -> web.Response:
    """Twilio's own form of an error; a code that is not in the table is a 400."""
    status, message = ERRORS.get(code, (400, "Error"))
    body = {"code": code, "message": message, "more_info": _more_info(code), "status": status}
    headers = {"Retry-After": str(retry_after_s)} if retry_after_s is not None else None
    return web.json_response(body, status=status, headers=headers)


def _problem(code: int) -> web.Response:
    status, message = ERRORS.get(code, (400, "Error"))
    body = {"type": _more_info(code), "title": message, "status": status, "code": code, "detail": message}
    return web.json_response(body, status=status, content_type="application/problem+json")


def _more_info(code: int) -> str:
    return f"https://www.twilio.com/docs/errors/{code}"


def _objection(form: Mapping[str, str], opted_out: set[str]) -> int | None:
    """The error code of the first thing that is wrong with a request, or None."""
    to, sender, service = form.get("To"), form.get("From"), form.get("MessagingServiceSid")
    body, callback = form.get("Body"), form.get("StatusCallback")
    checks = (
        (not to, 21604),
        (not sender and not service, 21603),
        (not body, 21602),
        (not _E164.fullmatch(to or ""), 21211),
        (bool(sender) and not _E164.fullmatch(sender or ""), 21212),
        (bool(service) and not _SERVICE.fullmatch(service or ""), 21212),
        (len(body or "") > MAX_BODY, 21617),
        (callback is not None and not _is_url(callback), 21609),
        (to in opted_out, 21610),
    )
    return next((code for wrong, code in checks if wrong), None)


def _is_url(text: str) -> bool:
    parts = urlsplit(text)
    return parts.scheme in {"http", "https"} and bool(parts.netloc)


def _asked_for(text: Text, query: Mapping[str, str]) -> bool:
    """Whether a list's filters let it through. A filter on the date passes nothing that has not been sent yet."""
    if query.get("To", text.to) != text.to or query.get("From", text.sender) != text.sender:
        return False
    bounds = {name: _moment(query[name]) for name in ("DateSent", "DateSent<", "DateSent>") if name in query}
    if not bounds:
        return True
    if text.sent_at is None:
        return False
    return (
        ("DateSent" not in bounds or bounds["DateSent"].date() == text.sent_at.date())
        and ("DateSent<" not in bounds or text.sent_at <= bounds["DateSent<"])
        and ("DateSent>" not in bounds or text.sent_at >= bounds["DateSent>"])
    )


def _moment(text: str) -> datetime:
    """Twilio takes both forms. Raises ValueError, which is a 500 here: a client library never sends another."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = parsedate_to_datetime(text)
    return moment if moment.tzinfo else moment.astimezone()


def _page_uri(request: web.Request, page: int) -> str:
    return f"{request.path}?{urlencode({**request.query, 'Page': str(page)})}"
