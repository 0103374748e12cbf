"""Operators: their keys as files, their records under the deployment's seal, and who may order what as a fold of both.

A private key is a file `operators/NAME.key` in the data directory: PKCS #8 as PEM, or the 32 raw bytes. As OpenSSH does
it, one that others can read is refused. The public half stands on the topic `operators` with the roles its holder has.
"""

import hmac
import json
import logging
import os
import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from pipeline import authority
from pipeline.audit.files import create_file
from pipeline.errors import ConfigurationError
from pipeline.settings import Settings
from pipeline.vault import Vault
from schemas import codec, topics
from schemas.base import is_id, rfc3339
from schemas.codec import Outgoing, Record, Undecodable
from schemas.command import OperatorCommand
from schemas.delivery import ParkedOrder
from schemas.ids import derived
from schemas.incident import IncidentEvent
from schemas.operator import Operator, Signature

SOURCE = "/tocsin/operator"
OPERATOR, SIGNATURE = "operator", "signature"
"""The CloudEvents extensions of what an operator ordered or said."""
RAW_BYTES = 32
OTHERS = 0o077
_SIGNATURE = re.compile("[A-Za-z0-9_-]{86}")
"""64 bytes as base64url; nothing longer comes into the journal."""

log = logging.getLogger("tocsin.operators")


# --- private keys


@dataclass(frozen=True, slots=True)
class Signer:
    """An operator whose private key is at hand. Never shows it."""

    name: str
    key: Ed25519PrivateKey = field(repr=False)

    @property
    def public_key(self) -> str:
        """The public half, as it is registered."""
        return authority.base64url(self.key.public_key().public_bytes_raw())

    def extensions(
        self, incident: str, id: str, source: str, data: OperatorCommand | IncidentEvent | ParkedOrder
    ) -> dict[str, str]:
        """What `codec.encode` is to add to an input so that it counts as theirs."""
        said = json.loads(data.model_dump_json(exclude_none=True))
        return {OPERATOR: self.name, SIGNATURE: authority.sign(self.key, incident, id, source, data.TYPE, said)}


def key_file(settings: Settings, name: str) -> Path:
    """Where the private key of `name` is. Raises ConfigurationError for a name that could lead elsewhere."""
    if not is_id(name):
        raise ConfigurationError(f"{name!r} cannot be an operator's name: letters, digits and . _ : - only")
    return settings.data_dir / "operators" / f"{name}.key"


def signer(settings: Settings, name: str | None = None) -> Signer:
    """Who signs: `name`, else TOCSIN_OPERATOR, else the only one whose key is here. Raises ConfigurationError."""
    if (name := name or settings.operator) is None:
        here = sorted(path.stem for path in (settings.data_dir / "operators").glob("*.key"))
        if len(here) != 1:
            found = f"there are keys of {', '.join(here)}" if here else "there is no key"
            raise ConfigurationError(
                f"who are you? {found} in {settings.data_dir / 'operators'}: say --as NAME, or set TOCSIN_OPERATOR"
                + ("" if here else "; `tocsin operator add NAME --role ROLE` makes a key")
            )
        name = here[0]
    return Signer(name, read_key(key_file(settings, name)))


def make_key(settings: Settings, name: str) -> Signer:
    """The signer `name`; a key is made if there is none. Raises ConfigurationError."""
    path = key_file(settings, name)
    if not path.exists():
        made = Ed25519PrivateKey.generate()
        try:
            create_file(path, made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), 0o600)
        except OSError as error:
            raise ConfigurationError(f"{path} cannot be written: {error.strerror}") from None
    return Signer(name, read_key(path))


def read_key(path: Path) -> Ed25519PrivateKey:
    """The private key in a file. Raises ConfigurationError: missing, open to others, no such key. Never quotes it."""
    try:
        with path.open("rb") as file:
            for place, mode, right in (
                (path, os.fstat(file.fileno()).st_mode, 600),
                (path.parent, path.parent.stat().st_mode, 700),
            ):
                if mode & OTHERS:
                    raise ConfigurationError(
                        f"{place} is open to others (mode {stat.S_IMODE(mode):04o}), so the key in it is not trusted: "
                        f"`chmod {right} {place}`"
                    )
            content = file.read()
    except FileNotFoundError:
        raise ConfigurationError(
            f"there is no {path}: put the key there, or `tocsin operator add {path.stem} --role ROLE` makes one"
        ) from None
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from None
    if len(content) == RAW_BYTES:
        return Ed25519PrivateKey.from_private_bytes(content)
    try:
        key = load_pem_private_key(content, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):  # TypeError: it is encrypted
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigurationError(f"{path} holds no ed25519 private key as unencrypted PEM or {RAW_BYTES} raw bytes")
    return key


def public_key_of(given: str) -> str:
    """A public key that was handed over, as it is registered: our own base64url, PEM, or a file with either.

    Raises ConfigurationError.
    """
    text = given.strip()
    try:
        if "\n" not in text and Path(text).is_file():
            text = Path(text).read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        pass  # too long for a path, or no text: it is judged as it stands
    if "PRIVATE KEY" in text:
        raise ConfigurationError("that is a private key: it stays with its owner; give `tocsin operator key` of theirs")
    try:
        if text.startswith("-----BEGIN"):
            found = load_pem_public_key(text.encode())
            if isinstance(found, Ed25519PublicKey):
                return authority.base64url(found.public_bytes_raw())
        elif len(raw := authority.from_base64url(text)) == RAW_BYTES:
            Ed25519PublicKey.from_public_bytes(raw)
            return text
    except (ValueError, UnsupportedAlgorithm):
        pass
    raise ConfigurationError("that is no ed25519 public key: give what `tocsin operator key NAME` prints, or PEM")


# --- records


def registered(vault: Vault, name: str, public_key: str, roles: Iterable[str], since: datetime, by: str) -> Operator:
    """The record that makes `name` an operator from `since` on, under the deployment's seal."""
    operator = Operator(
        name=name, public_key=public_key, roles=tuple(dict.fromkeys(roles)), since=since, by=by, seal="unsealed"
    )
    return operator.model_copy(update={"seal": vault.operator_seal(_sealed_bytes(operator))})


def is_sealed(vault: Vault, operator: Operator) -> bool:
    """Whether someone who holds the deployment's secret wrote this record."""
    return hmac.compare_digest(operator.seal.encode(), vault.operator_seal(_sealed_bytes(operator)).encode())


def _sealed_bytes(operator: Operator) -> bytes:
    return b"tocsin/1 operator\n" + authority.canonical(json.loads(operator.model_dump_json(exclude={"seal"})))


def record(operator: Operator) -> Outgoing:
    """The record as it is written."""
    return codec.encode(
        topics.OPERATORS,
        operator,
        id=derived("operator", operator.name, rfc3339(operator.since), operator.seal),
        source=SOURCE,
        subject=operator.name,
        time=operator.since,
    )


def tombstone(name: str) -> Outgoing:
    """The record that takes an operator away."""
    return Outgoing(topics.OPERATORS.name, name.encode(), None)


class Registry:
    """The fold of the topic `operators`. Mutable, by `apply` only. What cannot be trusted is ignored, loudly."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._operators: dict[str, Operator] = {}
        self._newest: dict[str, datetime] = {}

    def apply(self, record: Record) -> None:
        """Takes in one record. Never raises."""
        name = (record.key or b"").decode("utf-8", "replace")
        if record.value is None:
            if self._operators.pop(name, None) is not None:
                log.info("operator %r was taken away: %s@%d", name, record.topic, record.offset)
            return
        try:
            operator = codec.decode(record, Operator).data
        except Undecodable as error:
            log.error("an operator's record cannot be read and is ignored: %s@%d: %s",
                      record.topic, record.offset, error)  # fmt: skip
            return
        if operator.name != name or not is_sealed(self._vault, operator):
            log.error("an operator's record does not carry this deployment's seal and is ignored: %r, %s@%d",
                      operator.name, record.topic, record.offset)  # fmt: skip
        elif (newest := self._newest.get(name)) is not None and operator.since <= newest:
            if operator != self._operators.get(name):  # the same again is a producer's second try
                log.error("an old record of operator %r was written again and is ignored: %s@%d",
                          name, record.topic, record.offset)  # fmt: skip
        else:
            self._operators[name] = operator
            self._newest[name] = operator.since

    def get(self, name: str) -> Operator | None:
        """The operator of this name, if there is one now."""
        return self._operators.get(name)

    def all(self) -> list[Operator]:
        """Every operator there is now, by name."""
        return [self._operators[name] for name in sorted(self._operators)]

    def next_since(self, name: str, now: datetime) -> datetime:
        """From when on a new record of `name` can count: `now`, or just after the newest one that ever counted."""
        newest = self._newest.get(name)
        return now if newest is None else max(now, newest + timedelta(milliseconds=1))

    def signature(self, name: str, signature: str) -> Signature | None:
        """The signature of an input that says it is of operator `name`, with the key and the roles they hold now.

        None if there is no such operator, or if `signature` cannot be one. Whether it is theirs, `authority.verified`
        says.
        """
        operator = self._operators.get(name)
        if operator is None or _SIGNATURE.fullmatch(signature) is None:
            return None
        return Signature(operator=name, public_key=operator.public_key, roles=operator.roles, signature=signature)
