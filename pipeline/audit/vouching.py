"""What vouches for a log, as the verifier reads it: keys, checkpoints, changes of key, cosignatures of a witness.

C2SP signed-note, tlog-checkpoint and tlog-cosignature, read a second time: nothing here is shared with what signs, so
that a mistake there is not made here as well.
"""

import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

SIGNER, COSIGNER = 1, 4
"""The types of Ed25519 keys: of one who signs a note, of a witness who adds the moment at which it saw it."""
INTRODUCTION = "io.tocsin.audit.key_introduced.v1"
CHANGE = "tocsin change of key"
MAX_BYTES = 64 * 1024
_LINE = re.compile("\u2014 ([^ +]+) ([A-Za-z0-9+/]+={0,2})")
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")


class Distrusted(Exception):
    """Something that is to vouch for the log does not; says why."""


@dataclass(frozen=True, slots=True)
class Key:
    """A public key: whose, of which type, its 32 bytes."""

    name: str
    kind: int
    raw: bytes

    @classmethod
    def parse(cls, line: str) -> "Key":
        """Reads `name+id+base64(type || key)`. Raises Distrusted."""
        name, _, rest = line.strip().partition("+")
        identifier, _, encoded = rest.partition("+")
        material = _base64(encoded)
        if len(material) != 33 or material[0] not in (SIGNER, COSIGNER):
            raise Distrusted(f"{line.strip()[:80]!r} is no Ed25519 key of the form name+id+base64")
        key = cls(name, material[0], material[1:])
        if key.id.hex() != identifier:
            raise Distrusted(f"the public key of {name!r} is damaged: its id is {key.id.hex()}, not {identifier}")
        return key

    @property
    def id(self) -> bytes:
        """The four bytes by which a signature names its key."""
        return sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.raw).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}"

    def open(self, note: bytes) -> tuple[str, int | None]:
        """The text of `note` if this key signed it, and when, if it is a witness's. Raises Distrusted."""
        text, signatures = _parts(note)
        for name, blob in signatures:
            if (name, blob[:4]) == (self.name, self.id):
                return text, self._check(text, blob[4:])
        by = ", ".join(f"{name}+{blob[:4].hex()}" for name, blob in signatures)
        raise Distrusted(f"signed by {by}, not by {self}")

    def _check(self, text: str, signature: bytes) -> int | None:
        moment, said = None, text
        if self.kind == COSIGNER:
            moment, signature = int.from_bytes(signature[:8], "big"), signature[8:]
            said = f"cosignature/v1\ntime {moment}\n{text}"
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, said.encode())
        except InvalidSignature:
            raise Distrusted(f"the signature of {self} does not fit the text") from None
        return moment


@dataclass(frozen=True, slots=True)
class Head:
    """What a checkpoint says: this log has this many entries, and this root over them."""

    origin: str
    size: int
    root: bytes

    @classmethod
    def parse(cls, text: str) -> "Head":
        """Reads the text of a checkpoint. Raises Distrusted."""
        lines = text.split("\n")
        if len(lines) < 4 or not lines[0] or not _DECIMAL.fullmatch(lines[1]) or len(_base64(lines[2])) != 32:
            raise Distrusted("it is no checkpoint: its lines are not origin, size and root")
        return cls(lines[0], int(lines[1]), _base64(lines[2]))


@dataclass(frozen=True, slots=True)
class Change:
    """From checkpoints of more than `size` entries on, `new` signs in the place of `old`."""

    size: int
    old: Key
    new: Key


def change_of(entry: Mapping[str, Any]) -> Change:
    """The change of key that a sealed entry introduces, signed by both keys. Raises Distrusted."""
    note = str((entry.get("body") or {}).get("note")).encode()
    lines = _parts(note)[0].split("\n")
    if len(lines) != 6 or lines[0] != CHANGE or not _DECIMAL.fullmatch(lines[2]):
        raise Distrusted("what introduces the key is no signed change of key")
    old, new = Key.parse(lines[3]), Key.parse(lines[4])
    if {old.name, new.name} != {lines[1]} or int(lines[2]) != entry["index"] + 1:
        raise Distrusted(f"the change of key was signed for {lines[1]!r} at {lines[2]} entries, not for this place")
    old.open(note)
    new.open(note)
    return Change(int(lines[2]), old, new)


def key_at(size: int, pinned: Sequence[Key], changes: Sequence[Change]) -> Key:
    """The key under which a checkpoint of `size` entries counts. Every pinned key must have been the log's at a time.

    Raises Distrusted.
    """
    for before, after in pairwise(changes):
        if before.new != after.old:
            raise Distrusted(f"the change of key at {after.size} entries was signed by {after.old}, not {before.new}")
    keys = [changes[0].old, *(change.new for change in changes)] if changes else list(pinned[:1])
    for key in pinned:
        if key not in keys:
            raise Distrusted(f"{key} was never the key of this log, which knows {', '.join(map(str, keys))}")
    return keys[sum(change.size < size for change in changes)]


@dataclass(frozen=True, slots=True)
class Published:
    """A line of log.pub: a key, and for checkpoints of which sizes it counts: of more than `after` entries."""

    key: Key
    after: int


def published(text: str) -> list[Published]:
    """Reads log.pub: a key a line, in order, from the second on with `after SIZE`. Raises Distrusted."""
    found = []
    for line in text.splitlines():
        words = line.split()
        if words[1:] and (len(words) != 3 or words[1] != "after" or not _DECIMAL.fullmatch(words[2])):
            raise Distrusted(f"{line[:80]!r} is no line of a log.pub: a key, from the second on with `after SIZE`")
        if words:
            found.append(Published(Key.parse(words[0]), int(words[2]) if words[1:] else 0))
    return found


def head_published(note: bytes, lines: Sequence[Published]) -> tuple[str, Head]:
    """The text of a checkpoint, and what it says, signed by that key of a log.pub which counts for its size.

    Raises Distrusted. For whoever does not have the log, which says itself where its keys changed (`key_at`).
    """
    size = size_said(note)
    key = [line.key for line in lines if line is lines[0] or line.after < size][-1]
    text = key.open(note)[0]
    return text, Head.parse(text)


def head_signed(note: bytes, key: Key) -> Head:
    """What a checkpoint says that `key` signed; it must be of the log that the key is named for. Raises Distrusted."""
    head = Head.parse(key.open(note)[0])
    if head.origin != key.name:
        raise Distrusted(f"it is of the log {head.origin!r}, not of {key.name!r}")
    return head


def size_said(note: bytes) -> int:
    """How many entries a checkpoint speaks of, whoever signed it. Raises Distrusted."""
    return Head.parse(_parts(note)[0]).size


def _parts(note: bytes) -> tuple[str, list[tuple[str, bytes]]]:
    """A note's text with its last line break, and its signatures: whose, and key id with signature."""
    try:
        whole = note.decode() if len(note) <= MAX_BYTES else ""
    except UnicodeDecodeError:
        whole = ""
    text, _, rest = whole.rpartition("\n\n")
    found = [_LINE.fullmatch(line) for line in rest.removesuffix("\n").split("\n")]
    signatures = [(line[1], _base64(line[2])) for line in found if line is not None]
    if not text or not rest.endswith("\n") or len(signatures) != len(found) or any(len(s) < 5 for _, s in signatures):
        raise Distrusted("it is no signed note: a text, an empty line, signatures")
    return text + "\n", signatures


def _base64(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except (Base64Error, ValueError):
        return b""
