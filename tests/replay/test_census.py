"""Whom a back-test would reach."""

import json

import pytest

from pipeline.errors import ConfigurationError, NotFound
from pipeline.replay.census import example, read_census
from pipeline.replay.sources import MIN_PREFIX, policy_called
from pipeline.settings import REPOSITORY
from schemas.base import Channel
from schemas.census import AudienceCount, Census
from schemas.policy import PolicyPublished
from tests.replay.trials import policy

COUNT = AudienceCount(total=3, channels={Channel.SMS: 2}, zones={"UTC": 3})


@pytest.mark.parametrize("name", ["small-saas", "enterprise", "regulated"])
def test_the_example_counts_every_audience_on_no_other_channels_than_the_policy_has(name: str) -> None:
    under = policy(name)
    counts = example(under)
    assert set(counts) == set(under.audiences)
    for audience, count in counts.items():
        assert set(count.channels) <= set(under.audiences[audience].channels)
        assert sum(count.zones.values()) == count.total


def test_a_census_is_read_with_and_without_its_envelope(tmp_path) -> None:
    bare, whole = tmp_path / "bare.json", tmp_path / "whole.json"
    bare.write_text(json.dumps({"customers": COUNT.model_dump(mode="json")}))
    whole.write_text(Census(policy="0" * 64, audiences={"customers": COUNT}).model_dump_json())
    assert read_census(bare) == read_census(whole) == {"customers": COUNT}


def test_an_audience_may_be_called_audiences(tmp_path) -> None:
    path = tmp_path / "census.json"
    path.write_text(json.dumps({"audiences": COUNT.model_dump(mode="json")}))
    assert read_census(path) == {"audiences": COUNT}


@pytest.mark.parametrize(
    ("text", "why"),
    [("{", "no JSON"), ('{"customers": {"totl": 1}}', "no census: customers.totl"), ("[]", "no census: the whole")],
)
def test_what_is_no_census_is_refused_with_the_place(tmp_path, text: str, why: str) -> None:
    path = tmp_path / "census.json"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=why):
        read_census(path)


def test_a_missing_file_is_named(tmp_path) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere\.json: No such file"):
        read_census(tmp_path / "nowhere.json")


def versions() -> list[PolicyPublished]:
    from pipeline import policy as policies

    first = policies.load(REPOSITORY / "deploy" / "policies" / "small-saas")
    return [first.model_copy(update={"name": "ours"})]


def test_a_policy_is_a_directory_one_that_ships_or_a_published_version() -> None:
    shipped = policy_called("small-saas")
    assert policy_called(str(REPOSITORY / "deploy" / "policies" / "small-saas")).hash == shipped.hash
    assert policy_called(shipped.hash[:8], versions()).name == "ours"
    assert policy_called("ours", versions()).hash == shipped.hash


def test_a_policy_that_is_nowhere_is_named_with_what_there_is() -> None:
    with pytest.raises(NotFound, match=r"no policy 'nosuch': .* \(.*small-saas"):
        policy_called("nosuch")
    with pytest.raises(NotFound):
        policy_called(policy().hash[: MIN_PREFIX - 1], versions())


def test_digits_that_several_versions_begin_with_name_none() -> None:
    one = versions()[0]
    other = one.model_construct(name="other", hash=one.hash[:10] + "0" * 54, documents={})
    with pytest.raises(NotFound, match="2 published versions begin with"):
        policy_called(one.hash[:8], [one, other])
