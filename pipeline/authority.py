"""Who said it: the bytes that an operator signs, and whether a signature is theirs. Pure.

A signature binds an input to its incident, its CloudEvents `source`, `id` and `type`, and all of its data: what was
signed for one incident says nothing in another, and the same input again is known by its source and id. Ed25519
(RFC 8032) over canonical JSON (RFC 8785), so that whoever holds the journal's entry can make the same bytes again.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from schemas.base import Channel, Level
from schemas.journal import NoticeKind
from schemas.operator import Signature

VERSION = b"tocsin/1 input\n"
"""Leads what is signed, so that no signature of ours is one of something else."""


def to_sign(incident: str, id: str, source: str, type: str, data: Mapping[str, Any]) -> bytes:
    """What is signed. `data` as it is journaled: without what was not said, moments as `schemas.base` spells them.

    Raises ValueError for what has no canonical form (integers from 2^53 on, halves of surrogate pairs).
    """
    said = {"data": dict(data), "id": id, "incident": incident, "source": source, "type": type}
    return VERSION + canonical(said)


def sign(key: Ed25519PrivateKey, incident: str, id: str, source: str, type: str, data: Mapping[str, Any]) -> str:
    """The operator's signature, 64 bytes as base64url. Raises ValueError as `to_sign` does."""
    return base64url(key.sign(to_sign(incident, id, source, type, data)))


def verified(signature: Signature, incident: str, id: str, source: str, type: str, data: Mapping[str, Any]) -> bool:
    """Whether the holder of the key that stands in `signature` signed exactly this. Raises nothing, whatever is given.

    That the key is the operator's, and which roles they hold, is the registry's word (`pipeline.operators`).
    """
    try:
        public = Ed25519PublicKey.from_public_bytes(from_base64url(signature.public_key))
        public.verify(from_base64url(signature.signature), to_sign(incident, id, source, type, data))
    except (InvalidSignature, ValueError, RecursionError):
        return False
    return True


def content_of(
    audience: str,
    level: Level,
    kind: NoticeKind,
    renderings: Mapping[Channel, Sequence[str]],
    zones: Sequence[str] = (),
    corrects: int | None = None,
) -> str:
    """What is approved of a draft, as a SHA-256: every rendering of it, by its own hash, and whom it is for."""
    said = {
        "audience": audience,
        "corrects": corrects,
        "kind": str(kind),
        "level": str(level),
        "renderings": {str(channel): sorted(digests) for channel, digests in renderings.items()},
        "zones": sorted(zones),
    }
    return hashlib.sha256(b"tocsin/1 draft\n" + canonical(said)).hexdigest()


def text_content(text: str) -> str:
    """What is approved of a field that is told only with somebody's approval, as a SHA-256: its text."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def canonical(said: Mapping[str, Any]) -> bytes:
    """Canonical JSON (RFC 8785). Raises ValueError for what has no such form."""
    return rfc8785.dumps(dict(said))


def base64url(raw: bytes) -> str:
    """Without padding, as RFC 7515 writes it."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def from_base64url(text: str) -> bytes:
    """What `base64url` made. Raises ValueError, also for another spelling of the same bytes: a signature has one."""
    raw = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if base64url(raw) != text:
        raise ValueError("base64url, but not as it is written")
    return raw
