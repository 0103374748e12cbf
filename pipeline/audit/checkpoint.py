"""Checkpoints: what the appender signs, so that nobody, itself included, can shorten or rewrite the log unseen.

The key lies in `<data_dir>/keys`, apart from what it signs; whoever wants to be sure keeps a copy of `log.pub` and of
a checkpoint elsewhere, or has a witness keep one. A new key waits in `log.next.ed25519` until the old one has
introduced it in the log and signed for that; then it takes its place.
"""

from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from pipeline.audit.files import publish, replace_file, sync_directory, writing
from pipeline.audit.note import Checkpoint, PublicKey, change_of_key, read_checkpoint, sign
from pipeline.audit.seal import Chain
from pipeline.audit.tree import CompactRange
from pipeline.errors import AuditError, ConfigurationError
from schemas.audit import KeyIntroduced

EVERY_S = 1.0
EVERY_ENTRIES = 1000
REMEDY = (
    "Nothing is sealed before that is cleared up: put keys/log.ed25519 back, or move the checkpoint away to begin anew "
    "under another key"
)


def checkpoint_path(data_dir: Path) -> Path:
    """Where the latest checkpoint lies."""
    return data_dir / "audit" / "checkpoint"


def public_key_path(data_dir: Path) -> Path:
    """Where the log's public key lies."""
    return data_dir / "keys" / "log.pub"


def cosigned_path(data_dir: Path) -> Path:
    """Where the latest checkpoint lies that the witness signed as well."""
    return data_dir / "audit" / "cosigned"


def witness_key_path(data_dir: Path) -> Path:
    """Where the public key of the witness lies that this log is shown to, if there is one."""
    return data_dir / "keys" / "witness.pub"


def key_path(data_dir: Path) -> Path:
    """Where the key lies that signs."""
    return data_dir / "keys" / "log.ed25519"


def next_key_path(data_dir: Path) -> Path:
    """Where a new key waits until the old one has introduced it in the log."""
    return data_dir / "keys" / "log.next.ed25519"


def make_key(path: Path) -> None:
    """A new key, for nobody else to read. Whoever was first keeps theirs. Raises AuditError."""
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with writing(path):
        publish(path, pem, mode=0o600)


def load_key(path: Path) -> Ed25519PrivateKey:
    """Reads a private key. Raises ConfigurationError when others may read it or it is damaged."""
    if path.stat().st_mode & 0o077:
        raise ConfigurationError(f"{path} can be read by others: chmod 600 {path}")
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except ValueError:
        raise ConfigurationError(f"{path} is damaged: put it back from a backup") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigurationError(f"{path} is not an Ed25519 key")
    return key


def public_keys(data_dir: Path) -> list[PublicKey]:
    """The log's public keys, from the first to the present one. Raises AuditError."""
    try:
        lines = public_key_path(data_dir).read_text().split()
    except FileNotFoundError:
        return []
    return [PublicKey.parse(line) for line in lines]


def open_key(data_dir: Path) -> tuple[Ed25519PrivateKey, PublicKey]:
    """The log's key, made at first use. Raises ConfigurationError when others may read it or it is damaged."""
    path = key_path(data_dir)
    if not path.exists():
        make_key(path)
    known = public_keys(data_dir)
    if next_key_path(data_dir).exists() and known[1:] and known[-1].raw == _raw(load_key(next_key_path(data_dir))):
        _take_over(data_dir)  # what a crash left undone: the new key was introduced and counts already
    key = load_key(path)
    raw = _raw(key)
    if known and known[-1].raw == raw:
        return key, known[-1]
    if known and checkpoint_path(data_dir).exists():
        raise AuditError(f"{path} is not the key that the last checkpoint was signed with. {REMEDY}")
    # The name is the log's origin, after its first key: logs of different first keys are different logs.
    public = PublicKey(f"tocsin/log/{sha256(raw).hexdigest()[:16]}", raw)
    _publish_keys(data_dir, [public])
    return key, public


def _publish_keys(data_dir: Path, keys: list[PublicKey]) -> None:
    path = public_key_path(data_dir)
    with writing(path):
        replace_file(path, "".join(f"{key}\n" for key in keys).encode())


def _take_over(data_dir: Path) -> None:
    with writing(key_path(data_dir)):
        next_key_path(data_dir).replace(key_path(data_dir))
        sync_directory(key_path(data_dir).parent)


def _raw(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes_raw()


class Notary:
    """Signs checkpoints of one log, each only if the one before is a prefix of it."""

    def __init__(self, data_dir: Path, monotonic: Callable[[], float]) -> None:
        """`monotonic`: seconds. Raises ConfigurationError, and AuditError when the last checkpoint is not its own."""
        self._data_dir = data_dir
        self._path = checkpoint_path(data_dir)
        self._key, self.public = open_key(data_dir)
        self._now = monotonic
        self._signed_at = float("-inf")
        self.last = self._stored()
        self._before: CompactRange | None = None
        self._since: list[bytes] = []

    def follow(self, chain: Chain) -> None:
        """Takes note of each state of the log, from the empty one on, entry by entry. Raises AuditError for a fork."""
        if self._before is None:
            signed = self.last.size if self.last else 0
            if chain.size == signed:
                self._check(chain.tree)
                self._before = chain.tree
        else:
            self._since.append(chain.last)

    @property
    def unsigned(self) -> bool:
        """Whether there is something to sign, though it may be too early."""
        return bool(self._since)

    def due(self) -> bool:
        """Whether there is something to sign, and it is time: each second, or 1,000 entries."""
        if not self._since:
            return False
        return len(self._since) >= EVERY_ENTRIES or self._now() - self._signed_at >= EVERY_S

    def sign(self, chain: Chain) -> bytes | None:
        """Signs `chain`, keeps the checkpoint on disk and returns it; None if there is nothing new.

        Raises AuditError if it does not continue the last one.
        """
        if self._before is None:
            signed = self.last.size if self.last else 0
            raise AuditError(
                f"the log was cut: {self._path} is signed for {signed} entries, and it ends after {chain.size}"
            )
        if not self._since:
            return None
        if self._stored() != self.last:
            raise AuditError(f"{self._path} was changed by someone else: not signed")
        self._check(self._before)
        tree = self._before.extend(self._since)
        if tree != chain.tree:
            raise AuditError(
                f"not signed: the log of {chain.size} entries does not continue the one of {self._before.size} "
                "that was signed last"
            )
        checkpoint = Checkpoint(self.public.name, chain.size, chain.tree.root())
        with writing(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(self._path, note := sign(checkpoint.text, self.public.name, self._key))
        self.last, self._before, self._since, self._signed_at = checkpoint, tree, [], self._now()
        return note

    def introduction(self, size: int, introduced: Sequence[str]) -> KeyIntroduced | None:
        """What has to be sealed as entry `size` before a key that waits can sign; None if none waits.

        `introduced`: the keys that the log introduced already.
        """
        path = next_key_path(self._data_dir)
        if not path.exists():
            return None
        waiting = load_key(path)
        if str(PublicKey(self.public.name, _raw(waiting))) in introduced:
            return None
        return KeyIntroduced(note=change_of_key(size + 1, self.public.name, self._key, waiting))

    def change_key(self, introduced: Sequence[str]) -> bool:
        """Signs with the key that waits from now on, if the log introduced it last and that is signed for.

        The old private key is gone then: nobody can take it any more.
        """
        path = next_key_path(self._data_dir)
        if not path.exists() or self._since:
            return False
        public = PublicKey(self.public.name, _raw(load_key(path)))
        if [str(public)] != list(introduced[-1:]):
            return False
        _publish_keys(self._data_dir, [*public_keys(self._data_dir), public])
        _take_over(self._data_dir)
        self._key, self.public = load_key(key_path(self._data_dir)), public
        return True

    def _check(self, tree: CompactRange) -> None:
        if self.last is not None and (self.last.size, self.last.root) != (tree.size, tree.root()):
            raise AuditError(
                f"the log was forked: its first {self.last.size} entries have the root {tree.root().hex()}, "
                f"but {self._path} is signed for {self.last.root.hex()}"
            )

    def _stored(self) -> Checkpoint | None:
        try:
            note = self._path.read_bytes()
        except FileNotFoundError:
            return None
        for key in public_keys(self._data_dir)[-2:]:  # right after a change, the last one is still the old key's
            try:
                return read_checkpoint(note, key)
            except AuditError as error:
                problem = error
        raise AuditError(f"{self._path}: {problem}. {REMEDY}")
