"""Time is passed in. The real clock and the one that tests turn by hand have the same shape."""

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]
"""Gives the present moment, in UTC."""


def now() -> datetime:
    """The real clock, in UTC at millisecond precision, as the wire keeps it."""
    moment = datetime.now(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
