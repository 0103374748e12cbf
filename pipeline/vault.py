"""The vault: one secret of the deployment, and everything that hangs on it.

Contact data is sealed under a key of each subscriber's own (AES-256-GCM, the subscriber's id as associated data); that
key is wrapped under the deployment's, so that deleting it erases the person while every record keeps its bytes.
Addresses are found again, and links, callbacks and operators trusted, by HMAC-SHA256. Each use has its own key,
derived from the secret by HKDF-SHA256 (RFC 5869) under its own label.
"""

import base64
import binascii
import hmac
import os
import secrets
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import Field, ValidationError

from pipeline.addresses import comparable
from pipeline.errors import ConfigurationError
from pipeline.settings import Settings
from schemas.base import Channel, Message
from schemas.subscriber import SealedContact, SubscriberKey

KEY_BYTES = 32
NONCE_BYTES = 12
"""96 bits, as NIST SP 800-38D wants them when they are random."""
MAC_BYTES = 16
"""128 bits: a million forgeries a second would need 10^25 years."""
RETURN_MAC_BYTES = 8
"""64 bits in a return path, where RFC 5321 leaves 64 characters to all of it: a mail server that takes a million
forgeries a second would need 300,000 years for half of them."""
MIN_SECRET_CHARS = 32
Purpose = Literal["unsubscribe", "list"]
Random = Callable[[int], bytes]


class Unreadable(ConfigurationError):
    """Sealed data does not open: it was sealed under another secret, for someone else, or was changed."""


FIELDS: Final = {
    Channel.EMAIL: "email",
    Channel.SMS: "phone",
    Channel.X: "handle",
    Channel.WEBHOOK: "webhook",
    Channel.APPRISE: "apprise",
}
"""What holds a channel's address."""


class ContactData(Message):
    """How a subscriber is reached, in clear; exists only while a message is made. Never shows itself."""

    name: str | None = Field(default=None, repr=False)
    email: str | None = Field(default=None, repr=False)
    phone: str | None = Field(default=None, repr=False)
    handle: str | None = Field(default=None, repr=False)
    webhook: str | None = Field(default=None, repr=False)
    webhook_secret: str | None = Field(default=None, repr=False)
    apprise: str | None = Field(default=None, repr=False)

    def address(self, channel: Channel) -> str | None:
        """Where `channel` reaches them; None when they gave no such address."""
        address: str | None = getattr(self, FIELDS[channel])
        return address

    def secret(self, channel: Channel) -> str | None:
        """What messages on `channel` are signed with, where they are."""
        return self.webhook_secret if channel is Channel.WEBHOOK else None


class IsSealed(Protocol):
    """A `SealedContact`, or its parts; in base64."""

    @property
    def nonce(self) -> str:
        """12 bytes."""

    @property
    def ciphertext(self) -> str:
        """With its tag."""


class IsWrapped(Protocol):
    """A `SubscriberKey`, or its parts; in base64."""

    @property
    def nonce(self) -> str:
        """12 bytes."""

    @property
    def wrapped(self) -> str:
        """With its tag."""


@dataclass(frozen=True, slots=True, repr=False)
class Vault:
    """Seals, unseals, names and vouches. Its own text never shows a key."""

    kek: AESGCM
    blob: AESGCM
    address: bytes
    link: bytes
    callback: bytes
    operator: bytes
    random: Random = field(default=os.urandom)

    @classmethod
    def open(cls, settings: Settings, random: Random = os.urandom) -> "Vault":
        """The deployment's vault. Raises ConfigurationError: secret too short, or its file readable by others."""
        return cls.of(secret_of(settings), random)

    @classmethod
    def of(cls, secret: bytes, random: Random = os.urandom) -> "Vault":
        """The vault that hangs on `secret`."""
        return cls(
            kek=AESGCM(_derive(secret, "kek")),
            blob=AESGCM(_derive(secret, "blob")),
            address=_derive(secret, "address"),
            link=_derive(secret, "link"),
            callback=_derive(secret, "callback"),
            operator=_derive(secret, "operator"),
            random=random,
        )

    def new_key(self) -> bytes:
        """A fresh key for one subscriber."""
        return self.random(KEY_BYTES)

    def wrap(self, subscriber_id: str, key: bytes) -> SubscriberKey:
        """The subscriber's key as it may stand in a topic."""
        nonce, wrapped = _encrypt(self.kek, self.random, key, subscriber_id)
        return SubscriberKey(nonce=nonce, wrapped=wrapped)

    def unwrap(self, subscriber_id: str, wrapped: IsWrapped) -> bytes:
        """The subscriber's key in clear. Raises Unreadable."""
        return _decrypt(self.kek, wrapped.nonce, wrapped.wrapped, subscriber_id)

    def seal(self, subscriber_id: str, key: bytes, contact: ContactData) -> SealedContact:
        """Contact data under the subscriber's key."""
        plain = contact.model_dump_json(exclude_none=True).encode()
        nonce, ciphertext = _encrypt(AESGCM(key), self.random, plain, subscriber_id)
        return SealedContact(nonce=nonce, ciphertext=ciphertext)

    def unseal(self, subscriber_id: str, key: bytes, sealed: IsSealed) -> ContactData:
        """Contact data in clear. Raises Unreadable."""
        plain = _decrypt(AESGCM(key), sealed.nonce, sealed.ciphertext, subscriber_id)
        try:
            return ContactData.model_validate_json(plain)
        except ValidationError:
            # pydantic's own text would repeat the plaintext.
            raise Unreadable(f"the contact data of {subscriber_id} is not of a form this version knows") from None

    def seal_blob(self, plain: bytes) -> SealedContact:
        """Bytes that may hold contact data of nobody known (dead letters), under the deployment's own key."""
        nonce, ciphertext = _encrypt(self.blob, self.random, plain, "blob")
        return SealedContact(nonce=nonce, ciphertext=ciphertext)

    def unseal_blob(self, sealed: SealedContact) -> bytes:
        """Such bytes in clear. Raises Unreadable."""
        return _decrypt(self.blob, sealed.nonce, sealed.ciphertext, "blob")

    def address_token(self, channel: Channel, address: str) -> str:
        """The keyed hash by which an address is found again without being kept. Raises addresses.BadAddress."""
        return _b64url(_mac(self.address, channel, comparable(channel, address)))

    def link_token(self, subscriber_id: str, channel: Channel, purpose: Purpose) -> str:
        """What a link in a message carries: it lets its holder do one thing for one subscriber on one channel."""
        return _signed(self.link, purpose, f"{channel}|{subscriber_id}")

    def read_link_token(self, token: str, purpose: Purpose) -> tuple[str, Channel] | None:
        """Subscriber id and channel of a token we made for `purpose`; None for anything else."""
        match _verified(self.link, purpose, token):
            case (channel, subscriber_id) if channel in set(Channel):
                return subscriber_id, Channel(channel)
            case _:
                return None

    def confirm_token(self, subscriber_id: str, channel: Channel, address: str, until: datetime) -> str:
        """What the link in a request for confirmation carries. It is about one address, named by its token."""
        return _signed(self.link, "confirm", f"{channel}|{subscriber_id}|{address}|{int(until.timestamp())}")

    def read_confirm_token(self, token: str, at: datetime) -> tuple[str, Channel, str] | None:
        """Subscriber id, channel and address token of a link that we made and that is not too old; else None."""
        channel, rest = _verified(self.link, "confirm", token) or ("", "")
        match rest.split("|"):
            case [subscriber_id, address, until] if channel in set(Channel) and until.isdecimal():
                return (subscriber_id, Channel(channel), address) if at.timestamp() <= int(until) else None
            case _:
                return None

    def callback_token(self, intent_id: str, partition: int) -> str:
        """What a provider's callback carries: the intent, and the partition whose owner must hear of it."""
        return _signed(self.callback, "callback", f"{partition}|{intent_id}")

    def read_callback_token(self, token: str) -> tuple[str, int] | None:
        """Intent id and partition of a token we made; None for anything else."""
        match _verified(self.callback, "callback", token):
            case (partition, intent_id) if partition.isdecimal():
                return intent_id, int(partition)
            case _:
                return None

    def return_token(self, intent_id: str, partition: int) -> str:
        """What a return path carries: as a callback's, but spelled so that servers may fold its case."""
        return f"{intent_id}.{partition}.{self._return_seal(intent_id, partition)}"

    def read_return_token(self, token: str) -> tuple[str, int] | None:
        """Intent id and partition of a return path's token that we made; None for anything else."""
        match token.lower().split("."):
            case [intent_id, partition, seal] if partition.isdecimal() and partition.isascii() and len(partition) < 10:
                made = self._return_seal(intent_id, int(partition))
                same = hmac.compare_digest(seal.encode(), made.encode())
                return (intent_id, int(partition)) if same and partition == str(int(partition)) else None
            case _:
                return None

    def _return_seal(self, intent_id: str, partition: int) -> str:
        mac = _mac(self.callback, "return path", f"{partition}|{intent_id}")[:RETURN_MAC_BYTES]
        return _b32(mac)

    def operator_seal(self, record: bytes) -> str:
        """What proves that a record of an operator was written by someone who holds the deployment's secret."""
        return _b64url(hmac.digest(self.operator, record, "sha256"))


def secret_of(settings: Settings) -> bytes:
    """TOCSIN_SECRET, or the key file of the data directory, made at first use. Raises ConfigurationError.

    Whoever loses it loses every address; it belongs in the backup, apart from the data.
    """
    if settings.secret is not None:
        text = settings.secret.get_secret_value()
        if len(text) < MIN_SECRET_CHARS:
            raise ConfigurationError(
                f"TOCSIN_SECRET has {len(text)} characters; at least {MIN_SECRET_CHARS} are needed "
                "(`openssl rand -hex 32` makes a good one)"
            )
        return text.encode()
    path = settings.data_dir / "keys" / "secret"
    if not path.exists():
        _make_secret(path)
    return _read_secret(path)


def _make_secret(path: Path) -> None:
    """Linked into place whole: of two processes that start at once both read the same secret, and never half of it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_hex(KEY_BYTES).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(scratch, path)
    except FileExistsError:
        pass  # another process was first; its secret is the one
    finally:
        scratch.unlink()


def _read_secret(path: Path) -> bytes:
    with path.open("rb") as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        if mode & 0o077:
            raise ConfigurationError(f"{path} can be read by others (mode {mode:04o}): `chmod 600 {path}`")
        secret = file.read().strip()
    if len(secret) < MIN_SECRET_CHARS:
        raise ConfigurationError(f"{path} holds no secret of at least {MIN_SECRET_CHARS} characters: restore it")
    return secret


def _derive(secret: bytes, label: str) -> bytes:
    return HKDF(SHA256(), KEY_BYTES, salt=None, info=f"tocsin/v1/{label}".encode()).derive(secret)


def _encrypt(cipher: AESGCM, random: Random, plain: bytes, bound_to: str) -> tuple[str, str]:
    nonce = random(NONCE_BYTES)
    sealed = cipher.encrypt(nonce, plain, bound_to.encode())
    return base64.b64encode(nonce).decode(), base64.b64encode(sealed).decode()


def _decrypt(cipher: AESGCM, nonce: str, sealed: str, bound_to: str) -> bytes:
    try:
        # as base64.b64decode(validate=True), in a third of its time: this is done twice for every mail
        iv, text = binascii.a2b_base64(nonce, strict_mode=True), binascii.a2b_base64(sealed, strict_mode=True)
        return cipher.decrypt(iv, text, bound_to.encode())
    except (InvalidTag, ValueError):  # binascii.Error is a ValueError, as is a nonce of a wrong length
        raise Unreadable(
            f"what was sealed for {bound_to} does not open: is TOCSIN_SECRET (or keys/secret in the data directory) "
            "the one it was sealed under?"
        ) from None


@lru_cache(maxsize=32)
def _led(purpose: str) -> bytes:
    return len(purpose).to_bytes(4, "big") + purpose.encode()


def _mac(key: bytes, purpose: str, payload: str) -> bytes:
    return hmac.digest(key, _led(purpose) + payload.encode(), "sha256")[:MAC_BYTES]


def _signed(key: bytes, purpose: str, payload: str) -> str:
    return _b64url(_mac(key, purpose, payload) + payload.encode())


def _verified(key: bytes, purpose: str, token: str) -> tuple[str, str] | None:
    """The two parts of the payload of a token that we signed for `purpose`."""
    try:
        raw = base64.b64decode(token.encode("ascii") + b"=" * (-len(token) % 4), altchars=b"-_", validate=True)
        payload = raw[MAC_BYTES:].decode("ascii")
    except (UnicodeError, binascii.Error):
        return None
    if not hmac.compare_digest(raw[:MAC_BYTES], _mac(key, purpose, payload)):
        return None
    if _b64url(raw) != token:  # base64 has several spellings of some bytes; a token has one
        return None
    first, _, second = payload.partition("|")
    return first, second


BASE32: Final = "abcdefghijklmnopqrstuvwxyz234567"
PAIRS: Final = tuple(first + second for first in BASE32 for second in BASE32)


def _b32(mac: bytes) -> str:
    """RFC 4648, base 32: 8 bytes in small letters, unpadded. Every mail has one, and b32encode takes thrice as long."""
    bits = int.from_bytes(mac) << 6  # 70 of them: seven times ten, and the last digit is none
    return "".join([PAIRS[bits >> at & 0x3FF] for at in range(60, -1, -10)])[:13]


def _b64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
