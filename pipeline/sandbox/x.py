"""The X double: posting, the own account and its timeline, with real counting of the rate limits."""

import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from aiohttp import web

from pipeline.clock import Clock
from pipeline.sandbox.counting import MAX_POST_WEIGHT, post_weight
from pipeline.sandbox.faults import KINDS, Fault
from pipeline.sandbox.shared import Desk
from pipeline.sandbox.truth import Post
from schemas.base import rfc3339

USER = {"id": "1700000000000000001", "name": "Tocsin sandbox", "username": "tocsin_sandbox"}
FIRST_ID = 1_900_000_000_000_000_000
WINDOW = timedelta(minutes=15)
POSTS_PER_WINDOW = 100
ME_PER_WINDOW = 75
TIMELINE_PER_WINDOW = 900
DUPLICATE_WITHIN = 25
"""X does not say how far back it looks for the same text; posts."""

DUPLICATE = "You are not allowed to create a Tweet with duplicate content."
TOO_LONG = "Your Tweet text is too long."
NOT_INVITED = "Replies are only allowed where the author has summoned this account."
GONE = "You attempted to reply to a Tweet that is deleted or not visible to you."

_OAUTH_FIELDS = ("oauth_consumer_key", "oauth_token", "oauth_signature", "oauth_nonce", "oauth_timestamp")
_DIGITS = re.compile(r"[0-9]{1,19}")

Handler = Callable[[web.Request], Awaitable[web.Response]]


@dataclass
class Limit:
    """A fixed window that begins with its first request."""

    allowed: int
    clock: Clock
    used: int = 0
    until: datetime | None = None

    def spend(self) -> bool:
        """Counts a request; False when the window is used up."""
        now = self.clock()
        if self.until is None or now >= self.until:
            self.used, self.until = 0, now + WINDOW
        if self.used >= self.allowed:
            return False
        self.used += 1
        return True

    def exhaust(self, seconds: float | None) -> None:
        """Used up until then; None: a whole window."""
        self.used = self.allowed
        self.until = self.clock() + (WINDOW if seconds is None else timedelta(seconds=seconds))

    def headers(self) -> dict[str, str]:
        """As X sends them; reset is in seconds since 1970, rounded up so that nobody comes a moment too early."""
        until = self.until or self.clock() + WINDOW
        return {
            "x-rate-limit-limit": str(self.allowed),
            "x-rate-limit-remaining": str(self.allowed - self.used),
            "x-rate-limit-reset": str(-int(-until.timestamp() // 1)),
        }


class XDouble:
    """Keeps posts."""

    def __init__(self, desk: Desk, consumer_key: str, access_token: str, posts_per_window: int) -> None:
        self._desk = desk
        self._keys = (consumer_key, access_token)
        clock = desk.truth.now
        self._posting = Limit(posts_per_window, clock)
        self._me = Limit(ME_PER_WINDOW, clock)
        self._reading = Limit(TIMELINE_PER_WINDOW, clock)

    def routes(self) -> list[web.RouteDef]:
        """The API's paths."""
        return [
            web.post("/2/tweets", self._limited(self._posting, self._create)),
            web.get("/2/users/me", self._limited(self._me, self._show_me)),
            web.get("/2/users/{id}/tweets", self._limited(self._reading, self._timeline)),
        ]

    def _limited(self, limit: Limit, handler: Handler) -> Handler:
        async def answer(request: web.Request) -> web.Response:
            if not self._signed(request):
                response = problem(401, "Unauthorized", "Unauthorized")
            elif not limit.spend():
                response = problem(429, "Too Many Requests", "Too Many Requests")
            else:
                response = await handler(request)
            response.headers.update(limit.headers())
            return response

        return answer

    def _signed(self, request: web.Request) -> bool:
        """OAuth 1.0a: complete and of the right account. The signature itself is over another host's name."""
        scheme, _, rest = request.headers.get("Authorization", "").partition(" ")
        fields = dict(re.findall(r'(\w+)="([^"]*)"', rest))
        given = (fields.get("oauth_consumer_key"), fields.get("oauth_token"))
        return scheme == "OAuth" and all(fields.get(name) for name in _OAUTH_FIELDS) and given == self._keys

    async def _create(self, request: web.Request) -> web.Response:
        body = await _json(request)
        text = body.get("text")
        if not isinstance(text, str) or not text.strip():
            return _invalid("text", "the text of a post is required")
        reply_to = (body.get("reply") or {}).get("in_reply_to_tweet_id")
        kinds = KINDS["x"].keys() - (set() if reply_to else {"reply_refused"})
        fault = self._desk.faults.take("x", kinds, subject=text)
        if fault is not None and not fault.kind.endswith("_after_accept"):
            return await self._refuse(request, fault)
        objection = self._objection(text, reply_to)
        if objection is not None:
            return objection
        truth = self._desk.truth
        post = truth.keep(
            Post, id=str(FIRST_ID + len(truth.records)), text=text, reply_to=reply_to, answered=fault is None
        )
        if fault is not None:
            return await self._refuse(request, fault)
        return web.json_response(
            {"data": {"id": post.id, "text": post.text, "edit_history_tweet_ids": [post.id]}}, status=201
        )

    def _objection(self, text: str, reply_to: str | None) -> web.Response | None:
        posts = self._desk.truth.posts
        if reply_to is not None and not _DIGITS.fullmatch(reply_to):
            return _invalid("reply.in_reply_to_tweet_id", "not the id of a post")
        if post_weight(text) > MAX_POST_WEIGHT:
            return problem(403, "Forbidden", TOO_LONG)
        if reply_to is not None and all(post.id != reply_to for post in posts):
            return problem(403, "Forbidden", GONE)
        if any(post.text == text for post in posts[-DUPLICATE_WITHIN:]):
            return problem(403, "Forbidden", DUPLICATE)
        return None

    async def _refuse(self, request: web.Request, fault: Fault) -> web.Response:
        if fault.kind == "duplicate":
            return problem(403, "Forbidden", DUPLICATE)
        if fault.kind == "reply_refused":
            return problem(403, "Forbidden", NOT_INVITED)
        if fault.kind in {"rate_limit", "empty_rate_limit"}:
            self._posting.exhaust(fault.seconds)
            if fault.kind == "empty_rate_limit":
                return web.Response(status=429, content_type="application/json")
            return problem(429, "Too Many Requests", "Too Many Requests")
        return await self._desk.fail_on_the_wire(request, fault)

    async def _show_me(self, request: web.Request) -> web.Response:
        return web.json_response({"data": USER})

    async def _timeline(self, request: web.Request) -> web.Response:
        if request.match_info["id"] != USER["id"]:
            return _invalid("id", "the sandbox knows its own account only")
        query = request.query
        size = query.get("max_results", "10")
        if not size.isdigit() or not 5 <= int(size) <= 100:
            return _invalid("max_results", "between 5 and 100")
        posts = [post for post in reversed(self._desk.truth.posts) if _in_range(post, query.get("since_id", "0"))]
        start = int(query.get("pagination_token", "0"))
        chosen = posts[start : start + int(size)]
        meta: dict[str, Any] = {"result_count": len(chosen)}
        if chosen:
            meta |= {"newest_id": chosen[0].id, "oldest_id": chosen[-1].id}
        if len(posts) > start + int(size):
            meta["next_token"] = str(start + int(size))
        fields = set(",".join([query.get("tweet.fields", ""), query.get("post.fields", "")]).split(","))
        data = {"data": [_as_asked(post, fields) for post in chosen]} if chosen else {}
        return web.json_response({**data, "meta": meta})


def problem(status: int, title: str, detail: str) -> web.Response:
    """An error as X words it: JSON of type about:blank."""
    return web.json_response({"title": title, "detail": detail, "type": "about:blank", "status": status}, status=status)


def _invalid(parameter: str, detail: str) -> web.Response:
    body = {
        "title": "Invalid Request",
        "detail": f"One or more parameters to your request was invalid: {parameter}: {detail}.",
        "type": "https://api.x.com/2/problems/invalid-request",
        "parameter": parameter,
        "status": 400,
    }
    return web.json_response(body, status=400)


async def _json(request: web.Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except json.JSONDecodeError:
        return {}
    return body if isinstance(body, dict) else {}


def _in_range(post: Post, since_id: str) -> bool:
    return int(post.id) > int(since_id)


def _as_asked(post: Post, fields: set[str]) -> dict[str, Any]:
    data: dict[str, Any] = {"id": post.id, "text": post.text, "edit_history_tweet_ids": [post.id]}
    if "created_at" in fields:
        data["created_at"] = rfc3339(post.at)
    if "author_id" in fields:
        data["author_id"] = USER["id"]
    if "referenced_tweets" in fields and post.reply_to:
        data["referenced_tweets"] = [{"type": "replied_to", "id": post.reply_to}]
    return data
