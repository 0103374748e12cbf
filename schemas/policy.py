"""Policies: the documents that decisions are made under, published as events and named by their hash."""

import hashlib
from typing import ClassVar

from pydantic import model_validator

from schemas.base import Id, Message, Sha256


class PolicyPublished(Message):
    """A whole set of policy documents and templates; `documents` maps a relative path to its text."""

    TYPE: ClassVar[str] = "io.tocsin.policy.published.v1"
    name: Id
    hash: Sha256
    documents: dict[str, str]

    @model_validator(mode="after")
    def _is_what_its_hash_says(self) -> "PolicyPublished":
        if (expected := hash_of(self.documents)) != self.hash:
            raise ValueError(f"the documents hash to {expected}, not {self.hash}")
        return self


def hash_of(documents: dict[str, str]) -> str:
    """SHA-256 over the sorted documents, each path and text led by its length in bytes."""
    digest = hashlib.sha256()
    for path, text in sorted(documents.items()):
        for part in (path.encode(), text.encode()):
            digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()
