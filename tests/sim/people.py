"""The people of the simulation. Their records are made once: keys and sealing cost more than a whole seed."""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from random import Random

from pipeline.registrations import registration
from pipeline.subscribers import subscribe
from pipeline.vault import Vault
from schemas.base import Channel
from schemas.codec import Outgoing
from tests.sim.provider import SECRET

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Person:
    """Someone who can be told, and the records by which they came."""

    id: str
    channels: tuple[Channel, ...]
    phone: str | None
    records: tuple[Outgoing, ...]


GIVEN: dict[str, dict[str, str]] = {
    "ann": {"email": "ann@example.com", "phone": "+14155552671"},
    "bob": {"phone": "+14155552672"},
    "cleo": {"email": "cleo@example.com"},
    "dan": {"email": "dan@example.com", "phone": "+14155552673", "time_zone": "America/Los_Angeles"},
    "eve": {"phone": "+14155552674", "time_zone": "Asia/Tokyo"},
    "fay": {"email": "fay@example.com", "frequency": "start_and_end"},
    "status": {"x_handle": "status", "audiences": "public"},
}


@cache
def people() -> tuple[Person, ...]:
    """All of them."""
    vault = Vault.of(SECRET, Random(1).randbytes)  # a seed replays exactly, to the last byte of every key
    return tuple(_person(vault, id_, given) for id_, given in GIVEN.items())


def _person(vault: Vault, id_: str, given: dict[str, str]) -> Person:
    row = registration({**given, "audiences": [given.get("audiences", "customers")]})
    records = subscribe(vault, row, id_, LONG_AGO)
    return Person(id_, row.choices.channels, given.get("phone"), records)
