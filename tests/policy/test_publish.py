"""Publishing the policy, on a real broker."""

import shutil
from pathlib import Path

import pytest

from pipeline import policy
from pipeline.broker import connect
from pipeline.errors import PolicyError
from pipeline.policy.publish import latest, publish
from pipeline.settings import Settings
from schemas import codec, topics
from schemas.policy import PolicyPublished
from tests.decide.test_policy import DEFAULT


async def published(settings: Settings) -> list[codec.Event[PolicyPublished]]:
    return [codec.decode(record, PolicyPublished) async for record in connect.read_all(settings, topics.POLICIES.name)]


async def test_a_policy_is_published_once_until_it_changes(own_broker: Settings, tmp_path: Path):
    directory = Path(shutil.copytree(DEFAULT, tmp_path / "mine"))
    settings = own_broker.model_copy(update={"policy_dir": directory})
    assert await publish(settings)
    assert not await publish(settings)
    first = policy.load(directory)
    assert await latest(settings, "mine") == first
    assert await latest(settings, "yours") is None

    voice = directory / "voice.yaml"
    voice.write_text(voice.read_text().replace("Service status", "Acme status"))
    assert await publish(settings)
    assert [event.id for event in await published(settings)] == [first.hash, policy.load(directory).hash]
    assert policy.compile((await published(settings))[1].data).voice.name == "Acme status"


async def test_a_wrong_policy_is_refused_and_the_last_good_one_stays(own_broker: Settings, tmp_path: Path):
    directory = Path(shutil.copytree(DEFAULT, tmp_path / "mine"))
    settings = own_broker.model_copy(update={"policy_dir": directory})
    assert await publish(settings)
    (directory / "cadence.yaml").write_text("sizes: wrong")
    with pytest.raises(PolicyError, match=r"cadence.yaml:1"):
        await publish(settings)
    assert len(await published(settings)) == 1
