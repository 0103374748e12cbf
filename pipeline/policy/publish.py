"""Publishing the policy in the policy directory, and reading which were published.

In force is whichever version was published last and can be used, whatever its name: the decide room goes by the same
rule. The topic has one partition, since only there the last one is the same for everybody.
"""

import getpass
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime

from pipeline import policy
from pipeline.broker import connect
from pipeline.decide.rehearse import rehearse
from pipeline.errors import PolicyError
from pipeline.settings import Settings
from schemas import codec, topics
from schemas.policy import PolicyPublished

SOURCE = "/tocsin/policy"
BY = "publishedby"
"""The CloudEvents extension that says who published a version: an operator's name, or the user of the machine."""


@dataclass(frozen=True, slots=True)
class Version:
    """What was published once. `fault` says why it cannot be used; without one it was, or is, in force."""

    at: datetime
    published: PolicyPublished
    by: str | None = None
    fault: str | None = None


async def publish(settings: Settings) -> bool:
    """Whether the policy in `settings.policy_dir` was published; not if it is in force already.

    Raises `PolicyError` before anything is sent: every template is tried first, so that none fails in an outage.
    """
    wanted = policy.load(settings.policy_dir)
    rehearse(policy.compile(wanted))
    current = await latest(settings)
    if current is not None and (current.name, current.hash) == (wanted.name, wanted.hash):
        return False
    outgoing = codec.encode(
        topics.POLICIES,
        wanted,
        id=wanted.hash,
        source=SOURCE,
        subject=wanted.name,
        extensions={BY: _who(settings)},
    )
    async with connect.open_producer(settings) as producer:
        await connect.send(producer, outgoing)
    return True


async def publish_or_keep(settings: Settings) -> str | None:
    """What to say at a start: that the policy was published, or why it was not and which stays; None: it is in force.

    A document that was broken since must not keep what stands from being told: the last good policy goes on. Raises
    `PolicyError` where there is none.
    """
    try:
        return f"policy published from {settings.policy_dir}" if await publish(settings) else None
    except PolicyError as error:
        current = await latest(settings)
        if current is None:
            raise
        stays = f"{current.name} ({current.hash[:12]}) stays in force"
        return f"warning: the policy in {settings.policy_dir} is not published, {stays}:\n{error}"


async def latest(settings: Settings) -> PolicyPublished | None:
    """The policy in force: of those that can be used, the one that was published last."""
    found = [version.published async for version in versions(settings) if version.fault is None]
    return found[-1] if found else None


async def versions(settings: Settings) -> AsyncIterator[Version]:
    """All that was published, in order. A record that is no policy at all is left out: it has no documents."""
    async for record in connect.read_all(settings, topics.POLICIES.name):
        try:
            event = codec.decode(record, PolicyPublished)
        except codec.Undecodable:
            continue
        yield Version(record.timestamp, event.data, event.extensions.get(BY), _fault(event.data))


def _fault(published: PolicyPublished) -> str | None:
    try:
        policy.compile(published)
    except PolicyError as error:
        return str(error)
    return None


def _who(settings: Settings) -> str:
    if settings.operator:
        return settings.operator
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # in a container the user may have no name
        return f"uid {os.getuid()}"
