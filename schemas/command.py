"""Incident commands: what a person or the clock orders. Imperative."""

from enum import StrEnum
from typing import ClassVar

from schemas.base import Instant, Message


class WakeReason(StrEnum):
    """Why the clock was asked to call."""

    PROMISE_DUE = "promise_due"


class Wake(Message):
    """The clock's command: a moment that a decision asked for has come."""

    TYPE: ClassVar[str] = "io.tocsin.command.wake.v1"
    due: Instant
    reason: WakeReason


COMMANDS: tuple[type[Wake], ...] = (Wake,)
