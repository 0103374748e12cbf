"""The log's keys: the one that signs, one that waits to, and the public ones.

A private key lies in `<data_dir>/keys`, of mode 0600 and apart from what it signs, or it comes by the environment of
the record room (TOCSIN_LOG_KEY) and is in no file of ours. A new key waits, in `log.next.ed25519` or
TOCSIN_LOG_NEXT_KEY, until the old one has introduced it in the log and signed for that; then it takes its place.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from pipeline.audit.files import create_file, replace_file, sync_directory, writing
from pipeline.audit.note import PublicKey
from pipeline.errors import ConfigurationError
from pipeline.private_keys import PrivateKeys, private_key, variable


def key_path(data_dir: Path) -> Path:
    """Where the key lies that signs, unless the environment has it."""
    return data_dir / "keys" / "log.ed25519"


def next_key_path(data_dir: Path) -> Path:
    """Where a new key waits until the old one has introduced it in the log."""
    return data_dir / "keys" / "log.next.ed25519"


def public_key_path(data_dir: Path) -> Path:
    """Where the log's public keys lie, a line each, from the second on with the size after which it signs."""
    return data_dir / "keys" / "log.pub"


def public_lines(data_dir: Path) -> list[str]:
    """The lines of log.pub, of the first key to the present one."""
    try:
        return [line for line in public_key_path(data_dir).read_text().splitlines() if line.strip()]
    except FileNotFoundError:
        return []


def public_keys(data_dir: Path) -> list[PublicKey]:
    """The keys in log.pub. Raises AuditError."""
    return [PublicKey.parse(line.split()[0]) for line in public_lines(data_dir)]


def publish(data_dir: Path, lines: Sequence[str]) -> None:
    """Writes log.pub, for others to take. Raises AuditError."""
    path = public_key_path(data_dir)
    with writing(path):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(path, "".join(f"{line}\n" for line in lines).encode())


def make_key(path: Path) -> None:
    """A new key, for nobody else to read. Whoever was first keeps theirs. Raises AuditError."""
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with writing(path):
        create_file(path, pem, mode=0o600)


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


class LogKeys(Protocol):
    """Where the private keys of one log are. All of it raises ConfigurationError for what is no key."""

    @property
    def where(self) -> str:
        """What messages call the place of the present one."""

    def present(self) -> Ed25519PrivateKey:
        """The key that signs."""

    def waiting(self) -> Ed25519PrivateKey | None:
        """The key that is to sign next; None if none waits."""

    def take_over(self) -> None:
        """The one that waits is the present one from now on; the old one is gone. Raises AuditError."""


class KeyFiles:
    """The keys in the data directory; the first is made when it is needed."""

    def __init__(self, data_dir: Path) -> None:
        self._present, self._next = key_path(data_dir), next_key_path(data_dir)

    @property
    def where(self) -> str:
        """Of the present key."""
        return str(self._present)

    def present(self) -> Ed25519PrivateKey:
        """Made at first use. Raises AuditError when it cannot be."""
        if not self._present.exists():
            make_key(self._present)
        return load_key(self._present)

    def waiting(self) -> Ed25519PrivateKey | None:
        """What `tocsin audit rotate-key` made."""
        return load_key(self._next) if self._next.exists() else None

    def take_over(self) -> None:
        """In one step: there is one of the two at any moment, and the old one in no file afterwards."""
        with writing(self._present):
            self._next.replace(self._present)
            sync_directory(self._present.parent)


class KeysGiven:
    """The keys that the environment has: what is retired stays there until somebody takes it out."""

    def __init__(self, data_dir: Path, keys: PrivateKeys) -> None:
        """Raises ConfigurationError where a file would be a second truth."""
        if keys.log_key is None:
            raise ConfigurationError(
                f"{variable('log_next_key')} is set without {variable('log_key')}: a key in the environment is "
                "introduced by one in the environment (for one in a file there is `tocsin audit rotate-key`)"
            )
        for path in (key_path(data_dir), next_key_path(data_dir)):
            if path.exists():
                raise ConfigurationError(
                    f"{variable('log_key')} is set, and {path} is there too: one log has one key. Move the file to "
                    "where no worker reads it, or take the key out of the environment"
                )
        self._present = private_key("log_key", keys.log_key)
        self._next = private_key("log_next_key", keys.log_next_key) if keys.log_next_key is not None else None
        if self._next is not None and raw(self._next) == raw(self._present):
            raise ConfigurationError(
                f"{variable('log_next_key')} is the same key as {variable('log_key')}: take it out"
            )

    @property
    def where(self) -> str:
        """Of the present key."""
        return variable("log_key")

    def present(self) -> Ed25519PrivateKey:
        """As given, or as taken over."""
        return self._present

    def waiting(self) -> Ed25519PrivateKey | None:
        """As given, until it has taken over."""
        return self._next

    def take_over(self) -> None:
        """In memory: a restart with both keys finds that the second one signs already."""
        if self._next is not None:
            self._present, self._next = self._next, None


def keys_for(data_dir: Path, given: PrivateKeys) -> LogKeys:
    """The log's keys: those of the environment where it has any, else those in files. Raises ConfigurationError."""
    if given.log_key is None and given.log_next_key is None:
        return KeyFiles(data_dir)
    return KeysGiven(data_dir, given)


def raw(key: Ed25519PrivateKey) -> bytes:
    """The 32 bytes of its public key."""
    return key.public_key().public_bytes_raw()
