import asyncio
import sys

import pytest
from aiokafka.admin import NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from pipeline.broker import connect
from pipeline.broker.embedded import EmbeddedBroker
from pipeline.broker.topics import AT_MOST, ensure, mismatches
from pipeline.errors import TopicMismatch
from pipeline.processes import environment
from pipeline.settings import Settings
from schemas import topics
from tests.conftest import MakeSettings


@pytest.fixture
def settings(make_settings: MakeSettings) -> Settings:
    return make_settings(broker="kafka://one:9092", partitions=12)


@pytest.mark.parametrize("topic", topics.ALL, ids=lambda topic: topic.name)
def test_a_topic_as_it_is_declared_is_right(topic: topics.Topic, settings: Settings) -> None:
    assert mismatches(topic, topic.partitions or 12, topic.config(), settings) == []


@pytest.mark.parametrize(
    ("topic", "found", "wanted"),
    [
        (topics.SUBSCRIBER_KEYS, {"cleanup.policy": "delete"}, "compact"),
        (topics.AUDIT_LOG, {"cleanup.policy": "compact,delete"}, "delete"),
        (topics.INCIDENT_EVENTS, {"message.timestamp.type": "CreateTime"}, "LogAppendTime"),
        (topics.AUDIT_LOG, {"retention.ms": "604800000"}, "-1"),
        (topics.DEAD_LETTERS, {"retention.ms": "1000"}, "at least 2592000000"),
        (topics.SUBSCRIBER_KEYS, {"segment.ms": "604800000"}, "at most 600000"),
        (topics.INCIDENT_EVENTS, {"max.message.bytes": "1048588"}, "at least 4194304"),
    ],
)
def test_a_setting_that_would_lose_something_is_named_with_its_mending(
    topic: topics.Topic, found: dict[str, str], wanted: str, settings: Settings
) -> None:
    ((name, value),) = found.items()
    assert mismatches(topic, topic.partitions or 12, {**topic.config(), **found}, settings) == [
        f"{topic.name} has {name}={value}, expected {wanted}. "
        "Mend: kafka-configs.sh --bootstrap-server one:9092 --alter "
        f"--entity-type topics --entity-name {topic.name} --add-config {name}={topic.config()[name]}"
    ]


def test_keeping_longer_and_taking_more_than_declared_is_right(settings: Settings) -> None:
    generous = {**topics.DEAD_LETTERS.config(), "retention.ms": "-1", "max.message.bytes": "9999999"}
    assert mismatches(topics.DEAD_LETTERS, 12, generous, settings) == []


def test_a_topic_with_too_many_partitions_is_to_be_made_anew(settings: Settings) -> None:
    (sentence,) = mismatches(topics.AUDIT_LOG, 3, topics.AUDIT_LOG.config(), settings)
    assert sentence.startswith("audit.log has 3 partitions, expected 1. Mend: ")
    assert "--delete --topic audit.log" in sentence


async def test_a_topic_that_someone_else_made_is_checked_and_the_others_are_created(
    make_settings: MakeSettings,
) -> None:
    settings = make_settings(partitions=2)
    async with EmbeddedBroker(settings.data_dir):
        async with connect.open_admin(settings) as admin:
            await admin.create_topics([NewTopic("subscribers", 2, 1, topic_configs={"cleanup.policy": "delete"})])
        with pytest.raises(TopicMismatch) as caught:
            await ensure(settings)
        lines = str(caught.value).splitlines()[1:]
        assert [line.split(",")[0] for line in lines] == [
            "- subscribers has cleanup.policy=delete",
            "- subscribers has message.timestamp.type=CreateTime",
        ]
        assert await connect.partition_count(settings, "audit.log") == 1


async def test_an_embedded_broker_of_before_forgets_as_soon_as_is_declared(make_settings: MakeSettings) -> None:
    settings, keys = make_settings(partitions=2), topics.SUBSCRIBER_KEYS
    before = {name: value for name, value in keys.config().items() if name not in AT_MOST}
    async with EmbeddedBroker(settings.data_dir), connect.open_admin(settings) as admin:
        await admin.create_topics([NewTopic(keys.name, 2, 1, topic_configs=before)])
        await ensure(settings)
        [answer] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, keys.name)])
        found = {entry[0]: entry[1] for entry in answer.resources[0][4]}
    assert {name: found[name] for name in keys.config()} == keys.config()


async def test_a_deployment_creates_its_topics_with_one_command(make_settings: MakeSettings) -> None:
    settings = make_settings(partitions=2)
    said = []
    async with EmbeddedBroker(settings.data_dir):
        for _ in range(2):
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "pipeline.broker", env=environment(settings), stdout=asyncio.subprocess.PIPE
            )
            said.append((await process.communicate())[0].decode())
            assert process.returncode == 0
    assert said[0].startswith("topics are as declared; created: incident.events, ")
    assert said[1] == "topics are as declared; created: none\n"
