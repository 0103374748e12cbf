"""Creates every declared topic and checks those that exist: a wrong one would lose order or data without a word."""

import asyncio
from collections.abc import Mapping
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import InvalidReplicationFactorError, KafkaError, TopicAlreadyExistsError, for_code

from pipeline.broker.connect import bootstrap, open_admin
from pipeline.errors import BrokerError, BrokerUnreachable, ConfigurationError, TopicMismatch
from pipeline.settings import Settings
from schemas import topics
from schemas.topics import Topic

ARCHIVED = (topics.AUDIT_LOG, topics.RENDERINGS)
"""What nobody folds but from the segments, or the archive: so Kafka need not keep it for ever."""
AT_LEAST = ("retention.ms", "max.message.bytes")
AT_MOST = ("segment.ms", "min.cleanable.dirty.ratio")
SETTLE_S = 30.0


async def ensure(settings: Settings) -> tuple[str, ...]:
    """Creates what is missing of `schemas.topics.ALL`, checks the rest, and returns the names that it created.

    Idempotent; several processes may do it at once. Raises TopicMismatch with a sentence per difference and the command
    that mends it, BrokerError when the broker refuses a topic, BrokerUnreachable.
    """
    async with open_admin(settings) as admin:
        try:
            # All topics are listed, never asked for by name: a broker with auto-creation would make those it lacks.
            there = await _described(admin)
            missing = [topic for topic in topics.ALL if topic.name not in there]
            created = await _create(admin, settings, missing)
            if missing:
                there = await _settled(admin, {topic.name for topic in topics.ALL})
            configs = await _configs(admin)
            if settings.broker is None and await _tightened(admin, configs):
                configs = await _configs(admin)
        except (KafkaError, TimeoutError) as error:
            raise BrokerUnreachable(f"the broker at {bootstrap(settings)} stopped answering: {error!r}") from error
    wrong = [
        sentence
        for topic in topics.ALL
        for sentence in mismatches(topic, len(there[topic.name]), configs.get(topic.name, {}), settings)
    ]
    if wrong:
        raise TopicMismatch("topics are not as Tocsin declares them:\n" + "\n".join(f"- {line}" for line in wrong))
    return created


def expected_partitions(topic: Topic, settings: Settings) -> int:
    """How many partitions the topic must have in this deployment."""
    return topic.partitions or settings.partitions


def declared(topic: Topic, settings: Settings) -> dict[str, str]:
    """The topic's settings in this deployment, as Kafka names them.

    Raises ConfigurationError where Kafka is to forget what no archive would keep.
    """
    config, days = topic.config(), settings.log_retention_days
    if topic in ARCHIVED and days is not None:
        if settings.archive is None:
            raise ConfigurationError(
                "TOCSIN_LOG_RETENTION_DAYS is set without TOCSIN_ARCHIVE: the log would be gone after that"
            )
        config["retention.ms"] = str(days * topics.DAY_MS)
    return config


def mismatches(topic: Topic, partitions: int, config: Mapping[str, str], settings: Settings) -> list[str]:
    """What is wrong with a topic as found, a sentence each with the command that mends it."""
    found = []
    if partitions != (expected := expected_partitions(topic, settings)):
        found.append(_partition_sentence(topic, partitions, expected, settings))
    for name, value in declared(topic, settings).items():
        actual = config.get(name)
        if actual is None or actual == value or (name in AT_LEAST and _reaches(actual, value)):
            continue
        if name in AT_MOST and float(actual) <= float(value):
            continue
        limit = "at least " if name in AT_LEAST and value != "-1" else "at most " if name in AT_MOST else ""
        wanted = f"{limit}{value}"
        found.append(
            f"{topic.name} has {name}={actual}, expected {wanted}. Mend: kafka-configs.sh "
            f"--bootstrap-server {bootstrap(settings)} --alter --entity-type topics --entity-name {topic.name} "
            f"--add-config {name}={value}"
        )
    return found


async def _tightened(admin: AIOKafkaAdminClient, configs: Mapping[str, Mapping[str, str]]) -> bool:
    """Lets the embedded broker forget as soon as is declared: nobody has Kafka's tools for it, and nothing is lost."""
    lax = [
        topic
        for topic in topics.ALL
        if any(float(configs[topic.name].get(name, value)) > float(value) for name, value in _at_most(topic))
    ]
    if lax:
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, one.name, one.config()) for one in lax])
    return bool(lax)


def _at_most(topic: Topic) -> list[tuple[str, str]]:
    return [(name, value) for name, value in topic.config().items() if name in AT_MOST]


def _reaches(actual: str, declared: str) -> bool:
    """Whether a limit is no tighter than declared; -1 is no limit. Keeping longer, or taking more, loses nothing."""
    return actual == "-1" or (declared != "-1" and int(actual) >= int(declared))


def _partition_sentence(topic: Topic, found: int, expected: int, settings: Settings) -> str:
    tool = f"kafka-topics.sh --bootstrap-server {bootstrap(settings)}"
    said = f"{topic.name} has {found} partition{'s' * (found != 1)}, expected {expected}. "
    if topic.partitions is None:
        said += f"Mend: set TOCSIN_PARTITIONS={found} if every topic has so many; otherwise, "
    else:
        said += "Mend: "
    command = f"--alter --topic {topic.name} --partitions {expected}"
    if found > expected:
        command = f"--delete --topic {topic.name}` and start again: `tocsin up"
    return said + f"while it is empty (records do not move to other partitions): `{tool} {command}`"


async def _create(admin: AIOKafkaAdminClient, settings: Settings, missing: list[Topic]) -> tuple[str, ...]:
    if not missing:
        return ()
    made = [
        NewTopic(
            topic.name,
            expected_partitions(topic, settings),
            settings.replication,
            topic_configs=_config(topic, settings),
        )
        for topic in missing
    ]
    answer = await admin.create_topics(made)
    created = []
    for name, code, message in (entry[:3] for entry in answer.topic_errors):
        error = for_code(code)
        if code == 0:
            created.append(name)
        elif error is InvalidReplicationFactorError:
            raise BrokerError(
                f"the broker refuses {name}: {message}; set TOCSIN_REPLICATION (now {settings.replication})"
            )
        elif error is not TopicAlreadyExistsError:  # another process was faster; the check below is the same
            raise BrokerError(f"the broker refuses to create {name}: {error.__name__}: {message or error.description}")
    return tuple(created)


def _config(topic: Topic, settings: Settings) -> dict[str, str]:
    config = declared(topic, settings)
    if settings.replication >= 3:
        config["min.insync.replicas"] = "2"  # else "acknowledged by all" may mean by the one replica that is left
    return config


async def _described(admin: AIOKafkaAdminClient) -> dict[str, list[dict[str, Any]]]:
    return {found["topic"]: found["partitions"] for found in await admin.describe_topics() if not found["error_code"]}


async def _settled(admin: AIOKafkaAdminClient, names: set[str]) -> dict[str, list[dict[str, Any]]]:
    """The topics once all have leaders: a cluster spreads the news of them after it has answered."""
    async with asyncio.timeout(SETTLE_S):
        while True:
            there = await _described(admin)
            led = {name for name, parts in there.items() if parts and all(part["leader"] >= 0 for part in parts)}
            if names <= led:
                return there
            await asyncio.sleep(0.05)


async def _configs(admin: AIOKafkaAdminClient) -> dict[str, dict[str, str]]:
    wanted = [ConfigResource(ConfigResourceType.TOPIC, topic.name) for topic in topics.ALL]
    configs = {}
    for answer in await admin.describe_configs(wanted):
        for code, message, _kind, name, entries in answer.resources:
            if code:
                raise BrokerError(
                    f"the broker does not tell the settings of {name}: {for_code(code).__name__}: {message}"
                )
            configs[name] = {entry[0]: entry[1] for entry in entries}
    return configs
