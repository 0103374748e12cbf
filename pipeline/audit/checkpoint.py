"""Checkpoints: what the appender signs, so that nobody, itself included, can shorten or rewrite the log unseen.

Whoever wants to be sure keeps a copy of `log.pub` and of a checkpoint elsewhere, or has a witness keep one. Where the
keys are, and how one follows on another, `keys` says.
"""

from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pipeline.audit.files import replace_file, writing
from pipeline.audit.keys import LogKeys, public_keys, public_lines, publish, raw
from pipeline.audit.note import Checkpoint, PublicKey, change_of_key, read_checkpoint, sign
from pipeline.audit.seal import Chain
from pipeline.audit.tree import CompactRange
from pipeline.errors import AuditError
from schemas.audit import KeyIntroduced

EVERY_S = 1.0
EVERY_ENTRIES = 1000
REMEDY = (
    "Nothing is sealed before that is cleared up: put the key back that it was signed with (keys/log.ed25519, or "
    "TOCSIN_LOG_KEY), or move the checkpoint away to begin anew under another key"
)


def checkpoint_path(data_dir: Path) -> Path:
    """Where the latest checkpoint lies."""
    return data_dir / "audit" / "checkpoint"


def cosigned_path(data_dir: Path) -> Path:
    """Where the latest checkpoint lies that the witness signed as well."""
    return data_dir / "audit" / "cosigned"


def witness_key_path(data_dir: Path) -> Path:
    """Where the public key of the witness lies that this log is shown to, if there is one."""
    return data_dir / "keys" / "witness.pub"


def open_key(data_dir: Path, keys: LogKeys) -> tuple[Ed25519PrivateKey, PublicKey]:
    """The log's key and its public half, which is published. Raises ConfigurationError when it is none, AuditError."""
    known, waiting = public_keys(data_dir), keys.waiting()
    if waiting is not None and known[1:] and known[-1].raw == raw(waiting):
        keys.take_over()  # what a crash left undone: the new key was introduced and counts already
    elif waiting is not None and raw(waiting) in [public.raw for public in known]:
        raise AuditError("the key that waits was this log's before, and is no more: make a new one")
    key = keys.present()
    if known and known[-1].raw == raw(key):
        return key, known[-1]
    if known and checkpoint_path(data_dir).exists():
        raise AuditError(f"{keys.where} is not the key that the last checkpoint was signed with. {REMEDY}")
    # The name is the log's origin, after its first key: logs of different first keys are different logs.
    public = PublicKey(f"tocsin/log/{sha256(raw(key)).hexdigest()[:16]}", raw(key))
    publish(data_dir, [str(public)])
    return key, public


class Notary:
    """Signs checkpoints of one log, each only if the one before is a prefix of it."""

    def __init__(self, data_dir: Path, keys: LogKeys, monotonic: Callable[[], float]) -> None:
        """`monotonic`: seconds. Raises ConfigurationError, and AuditError when the last checkpoint is not its own."""
        self._data_dir = data_dir
        self._path = checkpoint_path(data_dir)
        self._keys = keys
        self._key, self.public = open_key(data_dir, keys)
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

        `introduced`: the keys that the log introduced already, as lines of log.pub.
        """
        waiting = self._keys.waiting()
        if waiting is None or str(PublicKey(self.public.name, raw(waiting))) in [
            line.split()[0] for line in introduced
        ]:
            return None
        return KeyIntroduced(note=change_of_key(size + 1, self.public.name, self._key, waiting))

    def change_key(self, introduced: Sequence[str]) -> bool:
        """Signs with the key that waits from now on, if the log introduced it last and that is signed for.

        The old private key is in no file then: nobody can take it any more.
        """
        waiting = self._keys.waiting()
        if waiting is None or self._since:
            return False
        public = PublicKey(self.public.name, raw(waiting))
        if not introduced or introduced[-1].split()[0] != str(public):
            return False
        publish(self._data_dir, [*public_lines(self._data_dir), introduced[-1]])
        self._keys.take_over()
        self._key, self.public = self._keys.present(), public
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
