"""Forgetting: whether a destroyed key may still stand before its tombstone, and what makes the broker remove it. Pure.

A broker compacts closed segments only, and closes one only when a record comes that is late enough. In a partition in
which nobody comes any more, the key of whoever was erased last would stand for ever: so a record of nobody's is
written.
"""

from datetime import datetime, timedelta

from pipeline.deliver.people import People
from pipeline.links import CONFIRM_WITHIN
from pipeline.subscribers import waits
from schemas import topics
from schemas.codec import Outgoing, Record
from schemas.subscriber import SIGNED_UP

CLOSED_AFTER = timedelta(milliseconds=topics.KEYS_CLOSED_MS, seconds=1)
"""A segment is closed by a record that comes more than that after its first."""
NOBODY = b"/nobody"
"""No id has a slash."""


class Forgetting:
    """The fold of one partition of `subscriber.keys` that says whether something must still be closed."""

    def __init__(self) -> None:
        self._from: datetime | None = None
        self._unknown = False

    def begun_in_the_middle(self) -> None:
        """What stood before is not known: there may have been a tombstone."""
        self._unknown = True

    def apply(self, record: Record) -> None:
        """Takes in one record."""
        if self._from is not None and record.timestamp >= self._from:
            self._from = None
        if record.value is None and record.key != NOBODY:
            self._from = record.timestamp + CLOSED_AFTER

    def due(self, at: datetime) -> bool:
        """Whether a record is to be written now."""
        if self._unknown:
            self._unknown, self._from = False, max(self._from or at, at + CLOSED_AFTER)
        return self._from is not None and self._from <= at


def closing(partition: int) -> Outgoing:
    """The record that closes the segment; a tombstone of nobody's, so that it goes as well."""
    return Outgoing(topics.SUBSCRIBER_KEYS.name, NOBODY, None, partition=partition)


def unanswered(people: People, at: datetime) -> list[str]:
    """Who signed up, or was signed up by somebody else, and let the request for confirmation grow too old."""
    signed_up = (people[name].whole() for name in people if name.startswith(SIGNED_UP))
    return [one.id for one in signed_up if waits(one) and one.at + CONFIRM_WITHIN < at]
