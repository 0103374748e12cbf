"""A witness: it remembers the last checkpoint of each log that it cosigned, and cosigns only what continues it.

C2SP tlog-witness, its `add-checkpoint`, and tlog-cosignature. Whoever holds the log's key can sign a second history;
they cannot have it cosigned. So a witness belongs on another machine, with other people's hands on it.
"""

import json
import logging
import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import SecretStr

from pipeline.audit.files import replace_file, writing
from pipeline.audit.keys import load_key, make_key
from pipeline.audit.note import cosignature_line, cosigner_line
from pipeline.audit.tree import ProofError, verify_consistency
from pipeline.audit.vouching import Distrusted, Head, Published, head_published
from pipeline.errors import ConfigurationError
from pipeline.private_keys import private_key, variable

MAX_PROOF = 63
SIZE_TYPE = "text/x.tlog.size"
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")

log = logging.getLogger("tocsin.witness")


@dataclass(frozen=True, slots=True)
class Answer:
    """What the witness answers: a status of HTTP, and a body."""

    status: int
    body: str
    content_type: str = "text/plain"


@dataclass(frozen=True, slots=True)
class _Asked:
    old: int
    proof: tuple[bytes, ...]
    note: bytes


class _Refused(Exception):
    def __init__(self, status: int, why: str, content_type: str = "text/plain") -> None:
        super().__init__(why)
        self.answer = Answer(status, f"{why}\n", content_type)


class Witness:
    """One witness; its key and its memory lie in one directory. `keys`: the logs' public keys, as they are now."""

    def __init__(
        self,
        directory: Path,
        keys: Callable[[], Sequence[Published]],
        clock: Callable[[], int],
        given: SecretStr | None = None,
    ) -> None:
        """`clock`: seconds since 1970. `given`: its private key, where the environment has it; else a file of its own.

        Raises ConfigurationError when its key is damaged or read by others, or there are two.
        """
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._key = _own_key(directory / "witness.ed25519", given)
        raw = self._key.public_key().public_bytes_raw()
        self._name = f"tocsin/witness/{sha256(raw).hexdigest()[:16]}"
        self.line = cosigner_line(self._name, raw)
        self.key_file = directory / "witness.pub"
        with writing(self.key_file):
            replace_file(self.key_file, f"{self.line}\n".encode())
        self._memory = directory / "seen.json"
        self._seen = _remembered(self._memory)
        self._keys = keys
        self._clock = clock

    def add_checkpoint(self, request: bytes) -> Answer:
        """Cosigns the checkpoint if it continues what was seen of its log; the answer says why not.

        What it cosigns is on disk before the answer is. Raises AuditError when it cannot be.
        """
        try:
            asked = _asked(request)
            text, head = self._signed(asked.note)
            self._check(asked, head)
        except _Refused as refused:
            log.warning("refused: %s", str(refused))
            return refused.answer
        seen = {**self._seen, head.origin: (head.size, head.root)}
        said = {origin: [size, root.hex()] for origin, (size, root) in seen.items()}
        with writing(self._memory):
            replace_file(self._memory, json.dumps(said, indent=1).encode())
        self._seen = seen
        return Answer(200, cosignature_line(text, self._name, self._key, self._clock()))

    def _signed(self, note: bytes) -> tuple[str, Head]:
        """The checkpoint's text, signed by the key that counts for its log and its size."""
        try:
            origin = note.split(b"\n", 1)[0].decode("utf-8", "replace")
            lines = [line for line in self._keys() if line.key.name == origin]
            if not lines:
                raise _Refused(404, f"no log {origin[:80]!r} is known here")
            return head_published(note, lines)
        except Distrusted as error:
            raise _Refused(403, f"the checkpoint counts for nothing: {error}") from None

    def _check(self, asked: _Asked, head: Head) -> None:
        size, root = self._seen.get(head.origin, (0, b""))
        if asked.old > head.size:
            raise _Refused(400, f"a log of {head.size} entries does not continue one of {asked.old}")
        if asked.old != size:
            raise _Refused(409, str(size), SIZE_TYPE)
        if head.size == size and size and head.root != root:
            raise _Refused(409, str(size), SIZE_TYPE)
        if asked.old == 0:
            if asked.proof:
                raise _Refused(422, "from nothing on there is nothing to prove")
            return
        try:
            verify_consistency(size, head.size, asked.proof, root, head.root)
        except ProofError as error:
            raise _Refused(422, f"a fork: {error}") from None


def _own_key(path: Path, given: SecretStr | None) -> Ed25519PrivateKey:
    if given is not None:
        if path.exists():
            raise ConfigurationError(
                f"{variable('witness_key')} is set, and {path} is there too: take one of the two away"
            )
        return private_key("witness_key", given)
    if not path.exists():
        make_key(path)
    return load_key(path)


def _asked(request: bytes) -> _Asked:
    """Reads `old SIZE`, the proof's lines, an empty line, the checkpoint."""
    top, gap, note = request.partition(b"\n\n")
    old, *lines = top.decode("ascii", "replace").split("\n")
    word, _, number = old.partition(" ")
    if not gap or word != "old" or not _SIZE.fullmatch(number):
        raise _Refused(400, "expected the line `old SIZE`, a proof, an empty line and a checkpoint")
    if len(lines) > MAX_PROOF:
        raise _Refused(400, f"no proof has {len(lines)} hashes")
    try:
        return _Asked(int(number), tuple(b64decode(line, validate=True) for line in lines), note)
    except Base64Error:
        raise _Refused(400, "a line of the proof is no base64") from None


def _remembered(path: Path) -> dict[str, tuple[int, bytes]]:
    if not path.exists():
        return {}
    try:
        said = json.loads(path.read_bytes())
        return {origin: (int(size), bytes.fromhex(root)) for origin, (size, root) in said.items()}
    except (ValueError, TypeError, AttributeError):
        raise ConfigurationError(
            f"{path} is damaged: put it back from a backup. A witness that forgets would cosign any history"
        ) from None


def request_for(old: int, proof: Sequence[bytes], note: bytes) -> bytes:
    """What a log asks a witness."""
    lines = [f"old {old}", *(b64encode(one).decode() for one in proof), "", ""]
    return "\n".join(lines).encode() + note
