"""The policies that were published: which one is in force, and each by its hash."""

import asyncio
import logging

from pipeline import policy as policies
from pipeline.errors import PolicyError
from pipeline.policy import Policy
from schemas import codec
from schemas.codec import Record, Undecodable
from schemas.policy import PolicyPublished

log = logging.getLogger("tocsin.decide")


class InForce:
    """A fold of the topic `policies`. One that cannot be used is said loudly, and the last good one stays."""

    def __init__(self) -> None:
        self._versions: dict[str, PolicyPublished] = {}
        self._current: PolicyPublished | None = None
        self._known = asyncio.Event()

    def published(self, record: Record) -> None:
        """Takes in a published policy."""
        try:
            published = codec.decode(record, PolicyPublished).data
            policies.compile(published)
        except (Undecodable, PolicyError) as error:
            log.error("a policy was published that cannot be used, the last good one stays: %s", error)
            return
        self._versions[published.hash] = self._current = published
        self._known.set()

    def version(self, hash: str) -> Policy | None:
        """That version; None if it was not published, or cannot be used (any more)."""
        published = self._versions.get(hash)
        return policies.compile(published) if published is not None else None

    async def policy(self) -> Policy:
        """The policy in force. Without any, nothing is decided."""
        while self._current is None:
            log.warning("no policy is published: inputs wait; publish one with `tocsin policy publish`")
            await self._known.wait()
        return policies.compile(self._current)
