"""Where input goes that could not be used: to the dead letters, with reason and origin; then the partition goes on."""

import base64
import hashlib
import logging
import re
from collections.abc import Iterable
from typing import TypeVar

from agents.emit import Emitter
from pipeline.vault import Vault
from schemas import codec, topics
from schemas.audit import Origin
from schemas.base import Message, is_id
from schemas.codec import Event, Record, Undecodable
from schemas.deadletter import KEPT_BYTES, DeadLetter
from schemas.ids import derived

KEPT_KEY_BYTES = 1024
KEPT_HEADER_BYTES = 64 * 1024

M = TypeVar("M", bound=Message)

log = logging.getLogger("tocsin.deadletters")

_NUMBER = re.compile(r"[\d .-]{6,}")


class DeadLetters:
    """Writes dead letters for one room."""

    def __init__(self, emitter: Emitter, vault: Vault, room: str) -> None:
        self._emitter = emitter
        self._vault = vault
        self._room = room

    async def decoded(self, record: Record, expect: type[M]) -> Event[M] | None:
        """What stands in a record of one of our own topics; None if it could not be used and is buried."""
        try:
            return codec.decode(record, expect)
        except Undecodable as error:
            await self.bury(record, error)
            return None

    async def bury(self, record: Record, error: Undecodable) -> None:
        """Keeps `record` with its reason; returns when the broker has it."""
        letter = dead_letter(record, error, self._room, self._vault)
        log.warning(
            "dead letter from %s-%d@%d: %s: %s",
            record.topic, record.partition, record.offset, error.reason, letter.detail,
        )  # fmt: skip
        await self._emitter.write(
            topics.DEAD_LETTERS,
            letter,
            id=derived("dead", record.topic, record.partition, record.offset, letter.sha256),
            subject=None,
            key=base64.b64decode(letter.key).decode("utf-8", "replace") if letter.key is not None else None,
            time=record.timestamp,
        )


def dead_letter(record: Record, error: Undecodable, room: str, vault: Vault) -> DeadLetter:
    """What is kept of a record that could not be used."""
    value = record.value or b""
    kept = value[:KEPT_BYTES]
    private = record.topic == topics.SUBSCRIBER_EVENTS_TOPIC.name
    headers = [(name, raw) for name, raw in record.headers if not private or (is_id(name) and _harmless(raw))]
    key = record.key if record.key is not None and (not private or _harmless(record.key)) else None
    return DeadLetter(
        reason=error.reason,
        detail="what it said is kept sealed" if private else error.detail[:1000],
        origin=Origin(topic=record.topic, partition=record.partition, offset=record.offset),
        appended_at=record.timestamp,
        room=room,
        key=None if key is None else _base64(key[:KEPT_KEY_BYTES]),
        headers=_that_fit(headers),
        size=len(value),
        sha256=hashlib.sha256(value).hexdigest(),
        value=None if private else _base64(kept),
        sealed=vault.seal_blob(kept) if private else None,
    )


def _harmless(raw: bytes) -> bool:
    """Whether key or header cannot be an address that was put in the wrong place: an id, a type, a moment, a path."""
    text = raw.decode("utf-8", "replace")
    return is_id(text.removeprefix("/").replace("/", ".")) and not _NUMBER.fullmatch(text)


def _that_fit(headers: Iterable[tuple[str, bytes]]) -> tuple[tuple[str, str], ...]:
    """The headers that fit: a dead letter that the broker refused would hold its partition up for ever."""
    kept, room = [], KEPT_HEADER_BYTES
    for name, raw in headers:
        if (size := len(name.encode("utf-8", "replace")) + len(raw) + 16) <= room:
            room -= size
            kept.append((name, _base64(raw)))
    return tuple(kept)


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
