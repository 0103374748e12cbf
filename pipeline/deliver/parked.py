"""Parked messages: which of them an order is about, and how many there are of which kind. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from pipeline.deliver.ledger import Parked
from schemas.base import Channel
from schemas.delivery import ParkedOrder

ORDERS: Final[dict[Literal["retry", "give_up"], str]] = {"retry": "ordered_again", "give_up": "given_up_by_operator"}
"""Each order, and the reason that stands for it."""
EVERY_INCIDENT: Final = "deliveries"
"""The subject of an order that names no incident."""


@dataclass(frozen=True, slots=True)
class Heap:
    """Parked messages of one incident, channel and reason; `since`: the first of them."""

    incident: str
    channel: Channel
    reason: str
    count: int
    since: datetime


def concerned(parked: Iterable[Parked], order: ParkedOrder) -> list[Parked]:
    """Those that the order is about: nothing that was parked after whoever gave it had looked."""
    return [
        one
        for one in parked
        if one.reason == order.reason
        and order.incident in (None, one.told.incident)
        and order.channel in (None, one.told.channel)
        and one.since <= order.parked_until
    ]


def heaps(parked: Iterable[Parked]) -> list[Heap]:
    """How many wait for a person, by incident, channel and reason."""
    found: dict[tuple[str, Channel, str], list[datetime]] = {}
    for one in parked:
        found.setdefault((one.told.incident, one.told.channel, one.reason), []).append(one.since)
    return [Heap(*what, count=len(moments), since=min(moments)) for what, moments in sorted(found.items())]
