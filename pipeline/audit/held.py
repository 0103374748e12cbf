"""What the appender holds of the log: a fold of its entries in the order of the topic."""

import logging
from dataclasses import dataclass, field

import orjson

from pipeline.audit.seal import Chain, Sealed, identity
from pipeline.audit.tree import leaf_hash
from schemas.audit import AuditEntry, Origin
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
    """The chain, the identity of everything sealed, and how far each source has been read. Mutable: it is large."""

    chain: Chain = field(default_factory=Chain)
    voids: int = 0
    places: dict[Part, Place] = field(default_factory=dict)
    _known: set[bytes] = field(default_factory=set)

    def take(self, value: bytes | None) -> bool:
        """Folds what stands next in the log; False if it does not link: then it is void and counted."""
        found = _linking(self.chain, value)
        if found is None:
            self.voids += 1
            return False
        self._fold(*found, leaf_hash(value or b""))
        return True

    def add(self, sealed: Sealed) -> None:
        """Folds an entry that was just sealed on top of this chain."""
        entry = sealed.entry
        self._fold(_identity(entry), entry.origin, sealed.chain.last)

    def knows(self, who: bytes) -> bool:
        """Whether this record is sealed already."""
        return who in self._known

    def is_last_of(self, record: Record, who: bytes) -> bool:
        """Whether `record` is the one that was sealed last of its partition: then what follows it is new."""
        return self.places.get((record.topic, record.partition)) == Place(record.offset, who)

    def _fold(self, who: bytes, origin: Origin, leaf: bytes) -> None:
        self.chain = self.chain.append(leaf)
        self._known.add(who)
        # The last one in the log's order, not the highest: after a broker lost records, offsets are used again.
        self.places[origin.topic, origin.partition] = Place(origin.offset, who)


def _identity(entry: AuditEntry) -> bytes:
    return identity(entry.origin.topic, entry.record_type, entry.subject, entry.record_id)


def _linking(chain: Chain, value: bytes | None) -> tuple[bytes, Origin] | None:
    try:
        entry = orjson.loads(value or b"")
        if (entry["index"], entry["prev"]) != (chain.size, chain.last.hex()):
            return None
        origin = Origin.model_validate(entry["origin"])
        return identity(origin.topic, entry["record_type"], entry.get("subject"), entry["record_id"]), origin
    except (ValueError, KeyError, TypeError) as error:
        log.error("the log holds something after entry %d that is no entry: %r", chain.size - 1, error)
        return None
