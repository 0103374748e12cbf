"""Where input goes that could not be used: to the dead letters, with reason and origin; then the partition goes on."""

import base64
import hashlib
import logging

from agents.emit import Emitter
from pipeline.vault import Vault
from schemas import topics
from schemas.audit import Origin
from schemas.codec import Record, Undecodable
from schemas.deadletter import KEPT_BYTES, DeadLetter
from schemas.ids import derived

log = logging.getLogger("tocsin.deadletters")


class DeadLetters:
    """Writes dead letters for one room."""

    def __init__(self, emitter: Emitter, vault: Vault, room: str) -> None:
        self._emitter = emitter
        self._vault = vault
        self._room = room

    async def bury(self, record: Record, error: Undecodable) -> None:
        """Keeps `record` with its reason; returns when the broker has it."""
        letter = dead_letter(record, error, self._room, self._vault)
        log.warning(
            "dead letter from %s-%d@%d: %s: %s",
            record.topic, record.partition, record.offset, error.reason, error.detail,
        )  # fmt: skip
        await self._emitter.write(
            topics.DEAD_LETTERS,
            letter,
            id=derived("dead", record.topic, record.partition, record.offset, letter.sha256),
            subject=None,
            key=record.key.decode("utf-8", "replace") if record.key is not None else None,
            time=record.timestamp,
        )


def dead_letter(record: Record, error: Undecodable, room: str, vault: Vault) -> DeadLetter:
    """What is kept of a record that could not be used."""
    value = record.value or b""
    kept = value[:KEPT_BYTES]
    private = record.topic == topics.SUBSCRIBER_EVENTS_TOPIC.name
    return DeadLetter(
        reason=error.reason,
        detail="what it said is kept sealed" if private else error.detail[:1000],
        origin=Origin(topic=record.topic, partition=record.partition, offset=record.offset),
        appended_at=record.timestamp,
        room=room,
        key=None if record.key is None else _base64(record.key),
        headers=tuple((name, _base64(raw)) for name, raw in record.headers),
        size=len(value),
        sha256=hashlib.sha256(value).hexdigest(),
        value=None if private else _base64(kept),
        sealed=vault.seal_blob(kept) if private else None,
    )


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
