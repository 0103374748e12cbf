"""Signed notes and the checkpoints in them, as text: C2SP signed-note and tlog-checkpoint, with Ed25519 signatures.

A note is a text, an empty line, and one line for each signature: `— name base64(key id || signature)`. A checkpoint's
text is three lines: origin, size, root.
"""

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from pipeline.errors import AuditError

ED25519 = b"\x01"
COSIGNATURE = b"\x04"
CHANGE = "tocsin change of key"
MAX_NOTE_BYTES = 64 * 1024
_SIGNATURE = re.compile(r"\u2014 (?P<name>[^\s+]+) (?P<signature>[A-Za-z0-9+/]+={0,2})")
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")


class NoteError(AuditError):
    """A note, a checkpoint or a public key that cannot be trusted or read; says why."""


def key_id(name: str, public: bytes, kind: bytes = ED25519) -> bytes:
    """The four bytes that tell keys of one name apart."""
    return sha256(name.encode() + b"\n" + kind + public).digest()[:4]


def sign(text: str, name: str, key: Ed25519PrivateKey) -> bytes:
    """`text`, which ends in a line break, as a note signed under `name`."""
    return f"{text}\n{signature_line(text, name, key)}".encode()


def signature_line(text: str, name: str, key: Ed25519PrivateKey) -> str:
    """The line that vouches for `text`."""
    signature = key_id(name, key.public_key().public_bytes_raw()) + key.sign(text.encode())
    return f"\u2014 {name} {b64encode(signature).decode()}\n"


def cosignature_line(text: str, name: str, key: Ed25519PrivateKey, moment: int) -> str:
    """A witness's line (C2SP tlog-cosignature): that at `moment`, seconds since 1970, it had seen no larger log."""
    said = f"cosignature/v1\ntime {moment}\n{text}".encode()
    signature = key_id(name, key.public_key().public_bytes_raw(), COSIGNATURE) + moment.to_bytes(8) + key.sign(said)
    return f"\u2014 {name} {b64encode(signature).decode()}\n"


def cosigner_line(name: str, public: bytes) -> str:
    """A witness's public key as a line."""
    return f"{name}+{key_id(name, public, COSIGNATURE).hex()}+{b64encode(COSIGNATURE + public).decode()}"


def change_of_key(size: int, name: str, old: Ed25519PrivateKey, new: Ed25519PrivateKey) -> str:
    """Old and new say that checkpoints of more than `size` entries are signed with the new one."""
    keys = [PublicKey(name, key.public_key().public_bytes_raw()) for key in (old, new)]
    text = f"{CHANGE}\n{name}\n{size}\n{keys[0]}\n{keys[1]}\n"
    return f"{text}\n{signature_line(text, name, old)}{signature_line(text, name, new)}"


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A signer's name and Ed25519 key, as one line `name+id+base64(type || key)`."""

    name: str
    raw: bytes

    @classmethod
    def parse(cls, line: str) -> "PublicKey":
        """Reads the line. Raises NoteError."""
        try:
            name, identifier, encoded = line.strip().split("+", 2)
            raw = b64decode(encoded, validate=True)
        except (ValueError, Base64Error):
            raise NoteError("the public key is no line of the form name+id+base64") from None
        if raw[:1] != ED25519 or len(raw) != 33 or key_id(name, raw[1:]).hex() != identifier:
            raise NoteError(f"the public key of {name!r} is damaged, or not one of Ed25519")
        return cls(name, raw[1:])

    def __str__(self) -> str:
        return f"{self.name}+{key_id(self.name, self.raw).hex()}+{b64encode(ED25519 + self.raw).decode()}"

    def open(self, note: bytes) -> str:
        """The text of `note` if this key signed it. Others' signatures are passed over. Raises NoteError."""
        text, signatures = _split(note)
        wanted = key_id(self.name, self.raw)
        for name, signature in signatures:
            if name != self.name or signature[:4] != wanted:
                continue
            try:
                Ed25519PublicKey.from_public_bytes(self.raw).verify(signature[4:], text.encode())
            except InvalidSignature:
                raise NoteError(f"the signature of {name} does not fit the text") from None
            return text
        by = ", ".join(f"{name}+{signature[:4].hex()}" for name, signature in signatures)
        raise NoteError(f"expected a signature of {self.name}+{wanted.hex()}, found {by}")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What is signed: this log had this many entries and this root."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The three lines that are signed."""
        return f"{self.origin}\n{self.size}\n{b64encode(self.root).decode()}\n"

    @classmethod
    def parse(cls, text: str) -> "Checkpoint":
        """Reads the text of an opened note; further lines are extensions and ignored. Raises NoteError."""
        lines = text.split("\n")
        if len(lines) < 4 or not lines[0] or not _SIZE.fullmatch(lines[1]):
            raise NoteError("the note is no checkpoint: expected the lines origin, size, root")
        try:
            root = b64decode(lines[2], validate=True)
        except Base64Error:
            root = b""
        if len(root) != 32 or b64encode(root).decode() != lines[2]:
            raise NoteError("the checkpoint's root is no base64 of 32 bytes")
        return cls(lines[0], int(lines[1]), root)


def read_checkpoint(note: bytes, key: PublicKey) -> Checkpoint:
    """The checkpoint in a note signed by `key`; it must be of the log that the key is named for. Raises NoteError."""
    found = Checkpoint.parse(key.open(note))
    if found.origin != key.name:
        raise NoteError(f"the checkpoint is of the log {found.origin!r}, not of {key.name!r}")
    return found


def _split(note: bytes) -> tuple[str, list[tuple[str, bytes]]]:
    if len(note) > MAX_NOTE_BYTES:
        raise NoteError(f"the note has {len(note)} bytes; no checkpoint has more than {MAX_NOTE_BYTES}")
    try:
        whole = note.decode()
    except UnicodeDecodeError:
        raise NoteError("the note is not UTF-8") from None
    text, separator, rest = whole.rpartition("\n\n")
    if not separator or not rest.endswith("\n") or any(char < " " and char != "\n" for char in whole):
        raise NoteError("expected a text, an empty line and signatures")
    signatures = []
    for line in rest.removesuffix("\n").split("\n"):
        found = _SIGNATURE.fullmatch(line)
        try:
            signature = b64decode(found["signature"], validate=True) if found else b""
        except Base64Error:
            signature = b""
        if found is None or len(signature) < 5:
            raise NoteError(f"the line {line[:80]!r} is no signature")
        signatures.append((found["name"], signature))
    return text + "\n", signatures
