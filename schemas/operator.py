"""Operators: persons who may order something, each with an ed25519 key and the roles they hold."""

from typing import Annotated, ClassVar

from pydantic import Field

from schemas.base import Id, Instant, Line, Message

Base64Url = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]


class Operator(Message):
    """One operator, on the topic `operators`, keyed by name. A tombstone takes them away.

    `seal` is a keyed hash over everything else under the deployment's secret: whoever can only write to the broker
    cannot make themselves an operator. `since` only grows: a record that was in force once is not taken again.
    """

    TYPE: ClassVar[str] = "io.tocsin.operator.v1"
    name: Id
    public_key: Base64Url = Field(description="ed25519, the 32 raw bytes (RFC 8032)")
    roles: tuple[Id, ...]
    since: Instant
    by: Line
    seal: Base64Url


class Signature(Message):
    """Who ordered, or said, something. `public_key` and `roles` are those that the operator held at that moment.

    The signature is over the canonical bytes of the message (see `pipeline.authority.to_sign`), so that an entry of the
    journal is enough to verify it again.
    """

    operator: Id
    public_key: Base64Url
    roles: tuple[Id, ...]
    signature: Base64Url
