"""The sandbox's own pages: the inbox for people, truth and faults for tests in other processes."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import jinja2
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from pipeline.sandbox.faults import KINDS, Fault
from pipeline.sandbox.shared import Desk
from pipeline.sandbox.truth import Callback

SHOWN = 200
"""Messages of each channel on the page, the latest first."""
MAX_WAIT_S = 60.0

# Mails bring their own styles and pictures of data:; scripts, forms and anything from outside stay out.
CONTENT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'"

_FAULTS: TypeAdapter[Fault | list[Fault]] = TypeAdapter(Fault | list[Fault])
_PAGE = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=jinja2.StrictUndefined
)


class InboundRequest(BaseModel):
    """The body of POST /twilio-inbound."""

    model_config = ConfigDict(extra="forbid")

    sender: str = Field(alias="from", pattern=r"^\+[1-9][0-9]{1,14}$")
    body: str
    url: str = Field(description="of our web service, /twilio/inbound", pattern="^https?://")


class Control:
    """What is asked of the sandbox itself."""

    def __init__(self, desk: Desk, inbound: Callable[[str, str, str], Awaitable[Callback]]) -> None:
        self._desk = desk
        self._inbound = inbound

    def routes(self) -> list[web.RouteDef]:
        """The sandbox's own paths."""
        return [
            web.get("/", self._inbox),
            web.get("/health", self._health),
            web.get("/truth.json", self._truth),
            web.get("/faults", self._list_faults),
            web.post("/faults", self._arm),
            web.delete("/faults", self._clear),
            web.post("/twilio-inbound", self._simulate_inbound),
        ]

    async def _inbox(self, request: web.Request) -> web.Response:
        truth = self._desk.truth
        page = _PAGE.get_template("inbox.html").render(
            mails=truth.mails[: -SHOWN - 1 : -1],
            texts=truth.texts[: -SHOWN - 1 : -1],
            posts=truth.posts[: -SHOWN - 1 : -1],
            counts={"mails": len(truth.mails), "texts": len(truth.texts), "posts": len(truth.posts)},
            shown=SHOWN,
            faults=self._desk.faults.armed,
            kinds=KINDS,
        )
        headers = {"Content-Security-Policy": CONTENT_POLICY, "Referrer-Policy": "no-referrer"}
        return web.Response(text=page, content_type="text/html", headers=headers)

    async def _health(self, request: web.Request) -> web.Response:
        return web.json_response({"status": "ok", "records": len(self._desk.truth.records)})

    async def _truth(self, request: web.Request) -> web.Response:
        """The records after number `since`; `wait`: seconds to wait for the first of them."""
        truth = self._desk.truth
        try:
            since, wait_s = int(request.query.get("since", 0)), float(request.query.get("wait", 0))
        except ValueError:
            return _refused("since is a record's number, wait is in seconds")
        if wait_s > 0:
            try:
                await truth.wait_for(lambda: len(truth.records) > since, min(wait_s, MAX_WAIT_S))
            except TimeoutError:
                pass  # nothing new is an answer too
        records = [record.model_dump(mode="json") for record in truth.records[max(0, since) :]]
        return web.json_response({"last": len(truth.records), "records": records})

    async def _list_faults(self, request: web.Request) -> web.Response:
        return web.json_response({"faults": self._desk.faults.state()})

    async def _arm(self, request: web.Request) -> web.Response:
        try:
            given = _FAULTS.validate_json(await request.read())
        except ValidationError as error:
            return _refused(_first_words(error))
        for fault in given if isinstance(given, list) else [given]:
            self._desk.faults.arm(fault)
        return web.json_response({"faults": self._desk.faults.state()}, status=201)

    async def _clear(self, request: web.Request) -> web.Response:
        self._desk.faults.clear()
        return web.Response(status=204)

    async def _simulate_inbound(self, request: web.Request) -> web.Response:
        try:
            wanted = InboundRequest.model_validate_json(await request.read())
        except ValidationError as error:
            return _refused(_first_words(error))
        callback = await self._inbound(wanted.sender, wanted.body, wanted.url)
        return web.json_response(callback.model_dump(mode="json"))


def _refused(reason: str) -> web.Response:
    return web.json_response({"error": reason}, status=422)


def _first_words(error: ValidationError) -> str:
    return "; ".join(f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in error.errors())
