"""Publishing the policy: the one in the policy directory, if another stands in the topic."""

from pipeline import policy
from pipeline.broker import connect
from pipeline.decide.rehearse import rehearse
from pipeline.settings import Settings
from schemas import codec, topics
from schemas.policy import PolicyPublished

SOURCE = "/tocsin/policy"


async def publish(settings: Settings) -> bool:
    """Whether the policy in `settings.policy_dir` was published; not if it is the latest of its name already.

    Raises `PolicyError` before anything is sent: every template is tried first, so that none fails in an outage.
    """
    wanted = policy.load(settings.policy_dir)
    rehearse(policy.compile(wanted))
    current = await latest(settings, wanted.name)
    if current is not None and current.hash == wanted.hash:
        return False
    async with connect.open_producer(settings) as producer:
        await connect.send(
            producer, codec.encode(topics.POLICIES, wanted, id=wanted.hash, source=SOURCE, subject=wanted.name)
        )
    return True


async def latest(settings: Settings, name: str) -> PolicyPublished | None:
    """The policy of this name that was published last, if any was."""
    found = None
    async for record in connect.read_all(settings, topics.POLICIES.name):
        published = codec.decode(record, PolicyPublished).data
        if published.name == name:
            found = published
    return found
