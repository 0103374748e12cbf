"""How everything that is no Faust app speaks to the broker: addresses, credentials, producing, reading to the end."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError, KafkaError, KafkaTimeoutError, NodeNotReadyError
from aiokafka.partitioner import murmur2
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.structs import ConsumerRecord, RecordMetadata

from pipeline.broker import runfile
from pipeline.broker.spare import Spare
from pipeline.errors import BrokerError, BrokerUnreachable, ConfigurationError, TopicMismatch
from pipeline.settings import Settings
from schemas import codec, topics

DEFAULT_PORT = 9092
MAX_REQUEST_BYTES = max(topic.max_message_bytes for topic in topics.ALL)
BATCH_BYTES = 256 * 1024
UNREACHABLE = (KafkaConnectionError, KafkaTimeoutError, NodeNotReadyError)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def bootstrap(settings: Settings) -> str:
    """The addresses to begin with, as `host:port,…`.

    Raises ConfigurationError for a malformed TOCSIN_BROKER, BrokerUnreachable when the embedded broker is not running.
    """
    if settings.broker is not None:
        return _addresses(settings.broker)
    running = runfile.read_live(settings.data_dir / "run" / "broker.json")
    if running is None:
        raise BrokerUnreachable(
            f"no embedded broker runs on {settings.data_dir}: start it with `tocsin up`, "
            "or set TOCSIN_BROKER=kafka://host:port to use another"
        )
    return f"127.0.0.1:{running['port']}"


def _addresses(url: str) -> str:
    wrong = ConfigurationError(f"TOCSIN_BROKER is {url!r}; it must be kafka://host:port[,host:port]")
    if not url.startswith("kafka://"):
        raise wrong
    found = []
    for part in url.removeprefix("kafka://").rstrip("/").split(","):
        host, colon, port = part.strip().removeprefix("kafka://").rpartition(":")
        if not colon or port.endswith("]"):  # no port given; an IPv6 address stands in brackets
            host, port = part.strip(), str(DEFAULT_PORT)
        if not host or "@" in host or "/" in host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise wrong
        found.append(f"{host}:{port}")
    return ",".join(found)


def client_options(settings: Settings) -> dict[str, Any]:
    """What every aiokafka client takes. Raises ConfigurationError, which names the setting, and BrokerUnreachable."""
    security = settings.broker_security
    options: dict[str, Any] = {"bootstrap_servers": bootstrap(settings), "security_protocol": security}
    if security.startswith("SASL"):
        if settings.broker_sasl_username is None:
            raise ConfigurationError(f"TOCSIN_BROKER_SECURITY is {security}: set TOCSIN_BROKER_SASL_USERNAME")
        if settings.broker_sasl_password is None:
            raise ConfigurationError(f"TOCSIN_BROKER_SECURITY is {security}: set TOCSIN_BROKER_SASL_PASSWORD")
        options |= {
            "sasl_mechanism": settings.broker_sasl_mechanism,
            "sasl_plain_username": settings.broker_sasl_username,
            "sasl_plain_password": settings.broker_sasl_password.get_secret_value(),
        }
    elif settings.broker_sasl_username is not None:
        raise ConfigurationError(
            f"TOCSIN_BROKER_SASL_USERNAME is set, but TOCSIN_BROKER_SECURITY is {security}: "
            "set it to SASL_SSL (or SASL_PLAINTEXT)"
        )
    if (context := ssl_context(settings)) is not None:
        options["ssl_context"] = context
    return options


def ssl_context(settings: Settings) -> ssl.SSLContext | None:
    """A context that verifies chain and host name; None where the connection is in clear. Raises ConfigurationError."""
    given = settings.broker_tls_ca or settings.broker_tls_cert or settings.broker_tls_key
    if not settings.broker_security.endswith("SSL"):
        if given:
            raise ConfigurationError(
                f"TOCSIN_BROKER_TLS_… is set, but TOCSIN_BROKER_SECURITY is {settings.broker_security}: "
                "set it to SSL or SASL_SSL"
            )
        return None
    try:
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH, cafile=settings.broker_tls_ca)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"TOCSIN_BROKER_TLS_CA: {settings.broker_tls_ca}: {error}") from error
    if settings.broker_tls_key and not settings.broker_tls_cert:
        raise ConfigurationError("TOCSIN_BROKER_TLS_KEY is set without TOCSIN_BROKER_TLS_CERT")
    if settings.broker_tls_cert:
        try:
            # The empty password keeps OpenSSL from asking on the terminal for an encrypted key's.
            context.load_cert_chain(settings.broker_tls_cert, settings.broker_tls_key, password="")
        except (OSError, ssl.SSLError) as error:
            where = f"{settings.broker_tls_cert}, {settings.broker_tls_key or 'no key file'}"
            raise ConfigurationError(f"TOCSIN_BROKER_TLS_CERT, TOCSIN_BROKER_TLS_KEY: {where}: {error}") from error
    return context


class Producer(AIOKafkaProducer):  # type: ignore[misc]  # aiokafka has no types
    """A producer of ours. On the embedded broker it has a spare copy, in which whatever it writes stands as well."""

    spare: Spare | None = None

    async def stop(self) -> None:
        """Flushes and disconnects. Cancelled while it flushes, it gives up what the broker has not taken.

        aiokafka's own would leave its sender at work: it would write once the broker is there again.
        """
        try:
            await super().stop()
        except asyncio.CancelledError:
            await self._sender.close()
            await self.client.close()
            raise
        finally:
            if self.spare is not None:
                self.spare.close()


async def producer(settings: Settings) -> Producer:
    """A started producer: acks=all, idempotent, no linger (an urgent record never waits for company).

    Raises BrokerUnreachable, ConfigurationError.
    """
    made = Producer(
        **client_options(settings),
        acks="all",
        enable_idempotence=True,
        linger_ms=0,
        max_batch_size=BATCH_BYTES,
        max_request_size=MAX_REQUEST_BYTES,
    )
    await _started(made, settings)
    if settings.broker is None:
        made.spare = Spare(settings.data_dir)
    return made


@asynccontextmanager
async def open_producer(settings: Settings) -> AsyncIterator[Producer]:
    """A producer for the length of a block; what was sent is flushed at its end."""
    made = await producer(settings)
    try:
        yield made
    finally:
        await made.stop()


@asynccontextmanager
async def open_admin(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    """An admin client for the length of a block. Raises BrokerUnreachable, ConfigurationError."""
    made = AIOKafkaAdminClient(**client_options(settings))
    try:
        await made.start()
    except KafkaError as error:
        await made.close()
        raise unreachable(settings, error) from error
    try:
        yield made
    finally:
        await made.close()


@asynccontextmanager
async def open_reader(settings: Settings) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer without group and without topics: assign partitions and seek. Raises as `producer` does."""
    made = AIOKafkaConsumer(
        **client_options(settings),
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=10,  # what is read stands there already: a long poll would only hold up the next partition
        max_partition_fetch_bytes=MAX_REQUEST_BYTES,
    )
    await _started(made, settings)
    # A consumer stopped before its own tasks have had a turn raises CancelledError instead of stopping.
    await asyncio.sleep(0)
    try:
        yield made
    finally:
        await made.stop()


async def _started(client: AIOKafkaProducer | AIOKafkaConsumer, settings: Settings) -> None:
    try:
        await client.start()
    except KafkaError as error:
        await client.stop()
        raise unreachable(settings, error) from error


def unreachable(settings: Settings, error: Exception) -> BrokerUnreachable:
    """The error for the person who can act, naming address, protocol and what to look at."""
    return BrokerUnreachable(
        f"the broker at {bootstrap(settings)} ({settings.broker_security}) does not answer: {error}; "
        "is it running, and are TOCSIN_BROKER and TOCSIN_BROKER_SECURITY right?"
    )


async def send(producer: Producer, outgoing: codec.Outgoing) -> RecordMetadata:
    """Writes one record and returns once the broker has acknowledged it, and the spare copy has it, where there is one.

    Raises BrokerUnreachable when nobody answered in time (the record may or may not be there), BrokerError when it was
    refused; the client's own error is the cause. After a refusal by the broker the producer is to be closed: its
    sequence has a gap that the broker does not forgive. Oversized records are refused here, before they cause one.
    """
    size, limit = size_of(outgoing), _limit(outgoing.topic)
    if size > limit:
        raise BrokerError(f"a record of {size} bytes is too large for {outgoing.topic}, which takes {limit}")
    try:
        written = await producer.send_and_wait(
            outgoing.topic,
            value=outgoing.value,
            key=outgoing.key,
            partition=outgoing.partition,
            headers=list(outgoing.headers),
        )
    except UNREACHABLE as error:
        raise BrokerUnreachable(f"no acknowledgement for a record on {outgoing.topic}: {error}") from error
    except (KafkaError, ValueError) as error:
        raise BrokerError(f"the broker refused a record on {outgoing.topic}: {error!r}") from error
    if producer.spare is not None:
        at = EPOCH + timedelta(milliseconds=written.timestamp)
        where = written.topic, written.partition, written.offset, at
        await producer.spare.keep(codec.Record(*where, outgoing.key, outgoing.value, outgoing.headers))
    return written


def size_of(outgoing: codec.Outgoing) -> int:
    """Bytes of the record alone in a batch, as the broker measures it against max.message.bytes; never too few."""
    return int(DefaultRecordBatchBuilder.estimate_size_in_bytes(outgoing.key, outgoing.value, list(outgoing.headers)))


def _limit(topic: str) -> int:
    return topics.BY_NAME[topic].max_message_bytes if topic in topics.BY_NAME else MAX_REQUEST_BYTES


async def read_all(
    settings: Settings, topic: str, *, partitions: Iterable[int] | None = None, start: dict[int, int] | None = None
) -> AsyncIterator[codec.Record]:
    """Every record from the beginning (or `start`, per partition) to the ends as of the call: partition by partition.

    No consumer group is touched. Raises TopicMismatch when the topic is missing, BrokerUnreachable, and BrokerError
    when `start` lies past a partition's end: then the broker has lost records that were read before.
    """
    there = set(range(await partition_count(settings, topic)))
    asked = sorted(there if partitions is None else partitions)
    if strange := set(asked) - there:
        raise TopicMismatch(f"{topic} has {len(there)} partitions; there is no partition {min(strange)}")
    async with open_reader(settings) as reader:
        asked_parts = [TopicPartition(topic, number) for number in asked]
        first = await reader.beginning_offsets(asked_parts)
        ends = await reader.end_offsets(asked_parts)
        for part in asked_parts:
            wanted = (start or {}).get(part.partition, 0)
            if wanted > ends[part]:
                raise BrokerError(
                    f"{topic}/{part.partition} ends at {ends[part]}, but was read up to {wanted} before: "
                    "the broker has lost records"
                )
            async for record in read_partition(reader, part, max(wanted, first[part]), ends[part]):
                yield record


async def beginnings(settings: Settings, topic: str) -> list[int]:
    """The first offset that each partition still holds. Raises as `partition_count` does."""
    parts = [TopicPartition(topic, number) for number in range(await partition_count(settings, topic))]
    async with open_reader(settings) as reader:
        begins = await reader.beginning_offsets(parts)
    return [int(begins[part]) for part in parts]


async def partition_count(settings: Settings, topic: str) -> int:
    """How many partitions the topic has. Raises TopicMismatch when it is missing, BrokerUnreachable.

    All topics are listed, none is asked for by name: a broker with auto-creation would make the one that is missing.
    """
    async with open_admin(settings) as admin:
        for found in await admin.describe_topics():
            if found["topic"] == topic:
                return len(found["partitions"])
    raise TopicMismatch(f"the topic {topic} does not exist: `tocsin up` creates all topics")


async def read_partition(
    reader: AIOKafkaConsumer, part: TopicPartition, begin: int, end: int
) -> AsyncIterator[codec.Record]:
    """The records of one partition from `begin` up to, and without, `end`."""
    if begin >= end:
        return
    reader.assign([part])
    reader.seek(part, begin)
    # The position, not the last record seen, says when the end is reached: compaction may have removed the last ones.
    while await reader.position(part) < end:
        fetched = await reader.getmany(part, timeout_ms=1000)
        for record in fetched.get(part, ()):
            if record.offset >= end:
                return
            yield to_record(record)


def to_record(record: ConsumerRecord) -> codec.Record:
    """An aiokafka record in our own form."""
    return codec.Record(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        timestamp=EPOCH + timedelta(milliseconds=record.timestamp),
        key=record.key,
        value=record.value,
        headers=tuple((name, bytes(value or b"")) for name, value in record.headers),
    )


def partition_for(key: str, partitions: int) -> int:
    """The partition that a key belongs to: murmur2, as Kafka's default partitioner in every client has it."""
    return int(murmur2(key.encode()) & 0x7FFFFFFF) % partitions
