"""Publishing the policy, on a real broker: what is in force, what came before, and what a broken file does not do."""

import asyncio
import re
from pathlib import Path

import pytest

from pipeline import policy
from pipeline.broker import connect
from pipeline.errors import NotFound, PolicyError
from pipeline.policy.difference import by_prefix, difference
from pipeline.policy.publish import latest, publish, publish_or_keep, versions
from pipeline.settings import Settings
from schemas import codec, topics
from schemas.policy import PolicyPublished, hash_of
from tests.commands.running import tocsin
from tests.policy.folders import copied, replace


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return copied(tmp_path)


@pytest.fixture
def settings(own_broker: Settings, directory: Path) -> Settings:
    return own_broker.model_copy(update={"policy_dir": directory, "operator": "ada"})


async def hashes(settings: Settings) -> list[str]:
    return [version.published.hash async for version in versions(settings)]


async def published_raw(settings: Settings, documents: dict[str, str], name: str) -> None:
    """A record by somebody who did not check it."""
    bad = PolicyPublished(name=name, hash=hash_of(documents), documents=documents)
    async with connect.open_producer(settings) as producer:
        await connect.send(producer, codec.encode(topics.POLICIES, bad, id=bad.hash, source="/tests", subject=name))


async def test_a_policy_is_published_once_until_it_changes(settings: Settings, directory: Path) -> None:
    assert await latest(settings) is None
    assert await publish(settings)
    assert not await publish(settings)
    first = policy.load(directory)
    assert await latest(settings) == first
    replace(directory, "languages.yaml", "Service status", "Acme status")
    assert await publish(settings)
    assert await hashes(settings) == [first.hash, policy.load(directory).hash]
    assert {version.by async for version in versions(settings)} == {"ada"}


async def test_of_several_policies_the_last_published_is_in_force_whatever_its_name(settings: Settings) -> None:
    other = settings.model_copy(update={"policy_dir": Path("regulated")})
    assert await publish(settings)
    assert await publish(other)
    assert (await latest(settings)).name == "regulated"  # type: ignore[union-attr]
    assert not await publish(other)
    assert await publish(settings), "the first one again is a change"
    assert (await latest(settings)).name == "mine"  # type: ignore[union-attr]
    assert len(await hashes(settings)) == 3


async def test_a_broken_file_is_refused_before_anything_is_sent(settings: Settings, directory: Path) -> None:
    assert await publish(settings)
    replace(directory, "cadence.yaml", "updates: 5m", "updates: soon")
    with pytest.raises(PolicyError, match=r"cadence.yaml:\d+: minimum gap between updates: 'soon' is no span"):
        await publish(settings)
    assert len(await hashes(settings)) == 1


async def test_a_template_that_fails_in_the_rehearsal_is_refused_as_well(settings: Settings, directory: Path) -> None:
    (directory / "templates").mkdir()
    (directory / "templates" / "sms.txt.j2").write_text("{{ it.no_such_field }}")
    with pytest.raises(PolicyError, match=r"templates/sms.txt.j2:1: .*no_such_field"):
        await publish(settings)
    assert await hashes(settings) == []


async def test_a_start_goes_on_under_the_last_good_policy_when_a_file_is_broken(
    settings: Settings, directory: Path
) -> None:
    replace(directory, "cadence.yaml", "updates: 5m", "updates: soon")
    with pytest.raises(PolicyError, match=r"'soon'"):
        await publish_or_keep(settings)
    replace(directory, "cadence.yaml", "updates: soon", "updates: 5m")
    assert await publish_or_keep(settings) == f"policy published from {directory}"
    assert await publish_or_keep(settings) is None
    good = policy.load(directory)
    replace(directory, "cadence.yaml", "updates: 5m", "updates: soon")
    said = await publish_or_keep(settings)
    assert said is not None
    assert said.startswith(
        f"warning: the policy in {directory} is not published, mine ({good.hash[:12]}) stays in force:"
    )
    assert said.endswith("'soon' is no span of time; write one like 30m, 24h or 3d")


async def test_a_published_record_that_cannot_be_used_is_never_in_force_but_on_record(
    settings: Settings, directory: Path
) -> None:
    assert await publish(settings)
    await published_raw(settings, {"cadence.yaml": "sizes: ["}, "mine")
    assert await latest(settings) == policy.load(directory)
    faults = [version.fault async for version in versions(settings)]
    assert faults[0] is None
    assert "cadence.yaml:1: a value is missing here; write one" in (faults[1] or "")


async def test_the_history_lists_every_version_and_shows_what_changed(settings: Settings, directory: Path) -> None:
    environment = {"TOCSIN_POLICY_DIR": str(directory), "TOCSIN_OPERATOR": "ada"}
    first = policy.load(directory)
    assert "published (hash" in (await tocsin(settings, "policy", "publish", **environment)).output
    assert "is in force already" in (await tocsin(settings, "policy", "publish", **environment)).output
    replace(directory, "languages.yaml", "Service status", "Acme status")
    second = policy.load(directory)
    await tocsin(settings, "policy", "publish", **environment)
    await published_raw(settings, {}, "theirs")

    listed = (await tocsin(settings, "policy", "history")).output
    rows = [line for line in listed.splitlines() if re.search(r"\d{4}-\d\d-\d\dT", line)]
    assert [re.findall(r"mine|theirs|ada|unknown|in force|cannot be used", row) for row in rows] == [
        ["mine", "ada"],
        ["mine", "ada", "in force"],
        ["theirs", "unknown", "cannot be used"],
    ]
    changed = (await tocsin(settings, "policy", "history", "--diff", first.hash[:12], second.hash[:12])).output
    assert "-name: Service status\n+name: Acme status\n" in changed
    assert f"--- {first.hash[:12]}/languages.yaml" in changed
    shown = await tocsin(settings, "policy", "show")
    assert "as 'Acme status'" in shown.output


async def test_without_a_policy_show_says_what_to_do(settings: Settings) -> None:
    refused = await tocsin(settings, "policy", "show")
    assert refused.exit_code == 1
    assert "no policy was published yet; `tocsin policy publish` does it" in refused.output


def test_a_version_is_named_by_the_beginning_of_its_hash_if_only_one_has_it() -> None:
    one = policy.load(Path("small-saas"))
    other = policy.load(Path("regulated"))
    assert by_prefix(one.hash[:8].upper(), [one, other, one]) == one
    with pytest.raises(
        NotFound, match=r"2 versions have a hash that begins with ''; `tocsin policy history` lists them"
    ):
        by_prefix("", [one, other])
    with pytest.raises(NotFound, match=r"no version has a hash that begins with 'xyz'"):
        by_prefix("xyz", [one])
    assert list(difference(one, one)) == []
    assert any(line == "+held for: legal" for line in difference(one, other))


def test_a_policy_is_checked_and_shown_without_a_broker(tmp_path: Path, directory: Path) -> None:
    settings = Settings(_env_file=None, data_dir=tmp_path)
    checked = asyncio.run(tocsin(settings, "policy", "check", "enterprise"))
    assert re.search(r"enterprise is sound: \d+ texts rehearsed \(hash [0-9a-f]{64}\)", checked.output)
    assert "early warning" in asyncio.run(tocsin(settings, "policy", "show", "regulated")).output
    replace(directory, "cadence.yaml", "updates: 5m", "updates: soon")
    refused = asyncio.run(tocsin(settings, "policy", "check", str(directory)))
    assert refused.exit_code == 1
    assert re.search(r"error: cadence.yaml:\d+: minimum gap between updates", refused.output)
