"""Every topic: what stands in it, by what it is partitioned, how long it keeps, who writes and who reads it."""

from dataclasses import dataclass
from functools import cache
from typing import Literal

from schemas.audit import AuditEntry, CheckpointSigned, TurnTaken
from schemas.base import Channel, Lane, Message
from schemas.census import Census
from schemas.command import COMMANDS
from schemas.deadletter import DeadLetter
from schemas.delivery import DELIVERY_RECORDS, DeliveryBatch, DeliveryWake, ParkedOrder, SpendingCounted
from schemas.incident import EVENTS
from schemas.journal import Closed, JournalEntry
from schemas.notice import Notices
from schemas.operator import Operator
from schemas.policy import PolicyPublished
from schemas.receipt import RECEIPTS
from schemas.rendering import Rendering
from schemas.subscriber import SUBSCRIBER_EVENTS, Subscriber, SubscriberKey

DAY_MS = 24 * 60 * 60 * 1000
FOR_EVER_MS = -1
KEYS_CLOSED_MS = 10 * 60 * 1000
"""A destroyed key goes from its topic when the broker compacts, and it compacts closed segments only: one is closed by
the first record that comes so long after its first one."""
DEFAULT_PARTITIONS = 12
MAX_INPUT_BYTES = 900_000
"""The largest input that is decoded; larger ones become dead letters. Below Kafka's default of 1 MB a message."""


@dataclass(frozen=True)
class Topic:
    """One topic as it is declared and checked. `partitions` None means the deployment's number (12 by default)."""

    name: str
    holds: tuple[type[Message], ...]
    key: str
    retention_ms: int
    description: str
    written_by: tuple[str, ...]
    read_by: tuple[str, ...]
    cleanup: Literal["delete", "compact"] = "delete"
    partitions: int | None = None
    max_message_bytes: int = 1_048_588
    closed_ms: int | None = None
    """Of a compacted topic that must not keep what was deleted: how old a segment becomes before it is compacted."""

    def config(self) -> dict[str, str]:
        """The topic's settings as Kafka names them."""
        settings = {
            "cleanup.policy": self.cleanup,
            "message.timestamp.type": "LogAppendTime",
            "max.message.bytes": str(self.max_message_bytes),
        }
        if self.cleanup == "delete":
            settings["retention.ms"] = str(self.retention_ms)
        if self.closed_ms is not None:
            settings |= {"segment.ms": str(self.closed_ms), "min.cleanable.dirty.ratio": "0.0"}
        return settings


INCIDENT_EVENTS = Topic(
    "incident.events", EVENTS, "incident id", 30 * DAY_MS,
    "What upstream says happened.", ("upstream",), ("decide",),
    max_message_bytes=4 * 1024 * 1024,  # an oversized input is taken and refused with a reason, not lost at the door
)  # fmt: skip
INCIDENT_COMMANDS = Topic(
    "incident.commands", COMMANDS, "incident id", 30 * DAY_MS,
    "What a person or the clock orders.", ("operators", "decide"), ("decide",),
)  # fmt: skip
INCIDENT_JOURNAL = Topic(
    "incident.journal", (JournalEntry,), "incident id", FOR_EVER_MS,
    "Each accepted input with the decisions that followed from it.", ("decide",), ("decide", "record"),
)  # fmt: skip
INCIDENTS_CLOSED = Topic(
    "incidents.closed", (Closed,), "incident id", FOR_EVER_MS,
    "Which incidents were closed: a few bytes of each stay when Kafka forgets its journal.",
    ("decide",), ("decide", "deliver", "operators"), cleanup="compact",
)  # fmt: skip
RENDERINGS = Topic(
    "renderings", (Rendering,), "SHA-256", FOR_EVER_MS,
    "What was to be said, word for word, once per combination.", ("decide",), ("audit", "replay"),
)  # fmt: skip
SUBSCRIBER_EVENTS_TOPIC = Topic(
    "subscriber.events", SUBSCRIBER_EVENTS, "subscriber id", FOR_EVER_MS,
    "Who wants to be told, and who no longer does; contact data sealed.",
    ("operators", "upstream", "web", "deliver"), ("deliver", "record"),
)  # fmt: skip
SUBSCRIBERS = Topic(
    "subscribers", (Subscriber,), "subscriber id", FOR_EVER_MS,
    "The current state of each subscriber.", ("deliver",), ("operators",), cleanup="compact",
)  # fmt: skip
CENSUS = Topic(
    "subscribers.census", (Census,), "the subscribers' partition", FOR_EVER_MS,
    "How many there are in each audience of each partition, and what they chose.", ("deliver",), ("decide",),
    cleanup="compact",
)  # fmt: skip
OPERATORS = Topic(
    "operators", (Operator,), "operator's name", FOR_EVER_MS,
    "Who may order something, with their public key and roles; a tombstone takes them away.",
    ("operators",), ("decide", "deliver", "operators"), partitions=1,
    # Not compacted: the fold must have seen what was once in force, to know it when someone writes it once more.
)  # fmt: skip
SUBSCRIBER_KEYS = Topic(
    "subscriber.keys", (SubscriberKey,), "subscriber id", FOR_EVER_MS,
    "Each subscriber's own key, wrapped; its tombstone is the erasure.", ("operators", "web", "deliver"), ("deliver",),
    cleanup="compact", closed_ms=KEYS_CLOSED_MS,
)  # fmt: skip
DELIVERY_WAKES = Topic(
    "delivery.wakes", (DeliveryWake,), "the subscribers' partition", 30 * DAY_MS,
    "Work that waits for its time.", ("deliver",), ("deliver",),
)  # fmt: skip
DELIVERY_RECORDS_TOPIC = Topic(
    "delivery.records", DELIVERY_RECORDS, "the subscribers' partition", FOR_EVER_MS,
    "Intents, attempts, outcomes and receipts.", ("deliver",), ("deliver", "record"),
)  # fmt: skip
DELIVERY_ORDERS = Topic(
    "delivery.orders", (ParkedOrder,), "explicit: one copy each", 30 * DAY_MS,
    "What a person orders for messages that were parked.", ("operators",), ("deliver",),
)  # fmt: skip
DELIVERY_SPENDING = Topic(
    "delivery.spending", (SpendingCounted,), "the subscribers' partition", FOR_EVER_MS,
    "What each partition's SMS and posts have cost, so that every worker knows the sum.", ("deliver",), ("deliver",),
    cleanup="compact",
)  # fmt: skip
PROVIDER_RECEIPTS = Topic(
    "provider.receipts", RECEIPTS, "the partition in the token", 7 * DAY_MS,
    "What providers and recipients answer, reduced to ids.", ("web", "operators", "deliver"), ("deliver",),
)  # fmt: skip
POLICIES = Topic(
    "policies", (PolicyPublished,), "document set", FOR_EVER_MS,
    "What is decided under, by hash; every version is kept.", ("operators",), ("decide", "deliver"), partitions=1,
    # One partition: the last that was published is in force, and only there it is the same for everybody.
)  # fmt: skip
AUDIT_TURN = Topic(
    "audit.turn", (TurnTaken,), "one partition", 30 * DAY_MS,
    "Whoever owns its one partition is the appender of the audit log.", ("record",), ("record",), partitions=1,
)  # fmt: skip
AUDIT_CHECKPOINTS = Topic(
    "audit.checkpoints", (CheckpointSigned,), "none but one", FOR_EVER_MS,
    "That sealing goes on, and how far it is: nothing is sent while it stands still.",
    ("record",), ("deliver", "operators"), cleanup="compact", partitions=1,
)  # fmt: skip
AUDIT_LOG = Topic(
    "audit.log", (AuditEntry,), "one partition", FOR_EVER_MS,
    "The sealed log.", ("record",), ("record", "audit", "replay"), partitions=1,
    max_message_bytes=2 * 1024 * 1024,  # an entry is its source and a few hundred bytes more
)  # fmt: skip
DEAD_LETTERS = Topic(
    "dead.letters", (DeadLetter,), "original key", 30 * DAY_MS,
    "Input that could not be used, with reason and origin.", ("decide", "deliver"), ("operators",),
)  # fmt: skip


@cache
def notices(lane: Lane) -> Topic:
    """The notices of one lane."""
    return Topic(
        f"notices.{lane}", (Notices,), "explicit: one copy each", 7 * DAY_MS,
        "Decisions to tell audiences, those of an entry together, one copy to every partition.",
        ("decide",), ("deliver",),
    )  # fmt: skip


@cache
def deliveries(channel: Channel, lane: Lane) -> Topic:
    """The batches of one channel and lane."""
    return Topic(
        f"deliveries.{channel}.{lane}", (DeliveryBatch,), "explicit: the subscribers' partition", 3 * DAY_MS,
        "Batches of up to 500 recipients with the one rendering they need.", ("deliver",), ("deliver",),
    )  # fmt: skip


ALL: tuple[Topic, ...] = (
    INCIDENT_EVENTS,
    INCIDENT_COMMANDS,
    INCIDENT_JOURNAL,
    INCIDENTS_CLOSED,
    RENDERINGS,
    *(notices(lane) for lane in Lane),
    SUBSCRIBER_EVENTS_TOPIC,
    SUBSCRIBERS,
    CENSUS,
    SUBSCRIBER_KEYS,
    *(deliveries(channel, lane) for channel in Channel for lane in Lane),
    DELIVERY_WAKES,
    DELIVERY_RECORDS_TOPIC,
    DELIVERY_ORDERS,
    DELIVERY_SPENDING,
    PROVIDER_RECEIPTS,
    POLICIES,
    OPERATORS,
    AUDIT_TURN,
    AUDIT_CHECKPOINTS,
    AUDIT_LOG,
    DEAD_LETTERS,
)
BY_NAME: dict[str, Topic] = {topic.name: topic for topic in ALL}
