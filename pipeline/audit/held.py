"""What the appender holds of the log: a fold of its entries in the order of the topic."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from pipeline.audit.seal import Chain, Sealed, identity
from pipeline.audit.tree import leaf_hash
from schemas import topics
from schemas.audit import AuditEntry, KeyIntroduced, Origin
from schemas.codec import Record

Part = tuple[str, int]
"""A topic and a partition of it."""

log = logging.getLogger("tocsin.audit")


@dataclass(frozen=True, slots=True)
class Place:
    """The record that was sealed last of a partition: where it stood and who it was."""

    offset: int
    identity: bytes


@dataclass
class Held:
    """The chain, the identity of everything sealed, and how far each source has been read. Mutable: it is large.

    `owing`: the last entry, if it speaks of many and is not followed yet by its commitment to each of them.
    `keys`: the public keys that the log introduced, in order, as lines of log.pub.
    """

    chain: Chain = field(default_factory=Chain)
    voids: int = 0
    owing: AuditEntry | None = None
    keys: list[str] = field(default_factory=list)
    places: dict[Part, Place] = field(default_factory=dict)
    _known: set[bytes] = field(default_factory=set)

    def take(self, value: bytes | None) -> bool:
        """Folds what stands next in the log; False if it does not link: then it is void and counted."""
        found = _linking(self.chain, value)
        if found is None:
            self.voids += 1
            return False
        entry, origin, owing = found
        who = identity(origin.topic, entry["record_type"], entry.get("subject"), entry["record_id"])
        self._fold(who, origin, leaf_hash(value or b""), owing)
        if entry["record_type"] == KeyIntroduced.TYPE:
            self.keys.append(_introduced(entry.get("body")))
        return True

    def add(self, sealed: Sealed) -> None:
        """Folds an entry that was just sealed on top of this chain."""
        entry = sealed.entry
        who = identity(entry.origin.topic, entry.record_type, entry.subject, entry.record_id)
        self._fold(who, entry.origin, sealed.chain.last, entry if entry.seed is not None else None)
        if entry.record_type == KeyIntroduced.TYPE:
            self.keys.append(_introduced(entry.body))

    def knows(self, who: bytes) -> bool:
        """Whether this record is sealed already."""
        return who in self._known

    def is_last_of(self, record: Record, who: bytes) -> bool:
        """Whether `record` is the one that was sealed last of its partition: then what follows it is new."""
        return self.places.get((record.topic, record.partition)) == Place(record.offset, who)

    def _fold(self, who: bytes, origin: Origin, leaf: bytes, owing: AuditEntry | None) -> None:
        self.chain, self.owing = self.chain.append(leaf), owing
        self._known.add(who)
        if origin.topic == topics.AUDIT_LOG.name:
            return
        # The last one in the log's order, not the highest: after a broker lost records, offsets are used again.
        self.places[origin.topic, origin.partition] = Place(origin.offset, who)


def index_of(value: bytes) -> int:
    """The number that an entry says it has; 0 of what is none."""
    try:
        return int(orjson.loads(value)["index"])
    except (ValueError, KeyError, TypeError):
        return 0


def _linking(chain: Chain, value: bytes | None) -> tuple[dict[str, Any], Origin, AuditEntry | None] | None:
    try:
        entry = orjson.loads(value or b"")
        if (entry["index"], entry["prev"]) != (chain.size, chain.last.hex()):
            return None
        if not isinstance(entry["record_type"], str) or not isinstance(entry["record_id"], str):
            raise TypeError("its record has no type or no id")
        owing = AuditEntry.model_validate(entry) if "seed" in entry else None
        return entry, Origin.model_validate(entry["origin"]), owing
    except (ValueError, KeyError, TypeError) as error:
        log.error("the log holds something after entry %d that is no entry: %r", chain.size - 1, error)
        return None


def _introduced(body: Mapping[str, Any] | None) -> str:
    """The new key as it stands in log.pub: with the size after which it signs (the third line of the note)."""
    lines = str((body or {}).get("note")).split("\n")
    return f"{lines[4]} after {lines[2]}" if len(lines) > 4 else ""
