"""What the doubles behind HTTP share."""

import asyncio
from dataclasses import dataclass, field

from aiohttp import web

from pipeline.sandbox.faults import Fault, FaultBook
from pipeline.sandbox.truth import Truth
from pipeline.sandbox.wire import reset

HTML_ERROR = "<!doctype html><title>{code}</title><h1>{code}: something went wrong on the way</h1>\n"
"""A load balancer's page in front of an API: no JSON, whatever the client asked for."""


@dataclass(frozen=True)
class Desk:
    """The truth, the armed faults, and whether the sandbox is being stopped."""

    truth: Truth
    faults: FaultBook
    closing: asyncio.Event = field(default_factory=asyncio.Event)

    async def fail_on_the_wire(self, request: web.Request, fault: Fault) -> web.Response:
        """The failures that are the same for every HTTP service: reset, hang, HTML."""
        if fault.kind == "html":
            code = fault.code or 503
            return web.Response(status=code, text=HTML_ERROR.format(code=code), content_type="text/html")
        if fault.kind == "hang_after_accept":
            await self.closing.wait()
        reset(request.transport)
        # Nobody gets this: the transport is gone. aiohttp wants an answer of a handler all the same.
        return web.Response()
