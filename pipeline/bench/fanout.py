"""Fan-out alone: a worker that owns everybody walks a notice through them, in a process of its own for each size."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from statistics import median
from typing import Final

import psutil

from pipeline.bench.figures import Growth
from pipeline.deliver.fanout import walk
from pipeline.deliver.people import People
from pipeline.deliver.roll import Roll
from schemas.base import Channel, Lane, Level
from schemas.census import Group
from schemas.journal import NoticeKind
from schemas.notice import Notice
from schemas.rendering import EmailContent, rendering_of
from schemas.subscriber import Choices, SealedContact, Subscriber, SubscriberKey, SubscriberKind

SIZES: Final = (10_000, 100_000, 1_000_000)
AT: Final = datetime(2026, 3, 3, 9, tzinfo=UTC)
ZONES: Final = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata")


def measure(runs: int) -> Iterator[Growth]:
    """Seconds of one walk, the median of `runs`, and the most memory that the process took."""
    found = []
    for size in SIZES:
        command = [sys.executable, "-m", "pipeline.bench.fanout", str(size), str(runs)]
        found.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    yield Growth("fanout", found)


def _people(size: int) -> People:
    people = People(Roll())
    for number in range(size):
        choices = Choices(audiences=("customers",), channels=(Channel.EMAIL,), time_zone=ZONES[number % len(ZONES)])
        one = Subscriber(
            id=f"{number * 2654435761 % 2**32:08x}{number:024x}",
            kind=SubscriberKind.PERSON,
            choices=choices,
            contact=SealedContact(nonce="A" * 16, ciphertext=f"{number:0120x}"),
            address_tokens={Channel.EMAIL: f"{number:022x}"},
            at=AT,
        )
        people.put(one)
        people.put_key(one.id, SubscriberKey(nonce="A" * 16, wrapped=f"{number:064x}"))
    return people


def _notice() -> Notice:
    moments = {zone: (f"noon in {zone}",) for zone in ZONES}
    content = EmailContent(subject="Logins fail", text="until {{t0}}", html="<p>until {{t0}}</p>")
    return Notice(
        notice_id="n", incident="bench", seq=1, at=AT, kind=NoticeKind.OPENED, group=Group(audience="customers"),
        level=Level.CUSTOMER, lane=Lane.FIRST, closing=False, components=(),
        renderings=(rendering_of("en", Level.CUSTOMER, content, moments),),
    )  # fmt: skip


def main(size: int, runs: int) -> None:
    """One size, as JSON."""
    people, notice, times = _people(size), _notice(), []
    for _ in range(runs):
        begun, told = time.perf_counter(), 0
        for stretch in walk(notice, 0, people, {}):
            told += sum(len(batch.recipients) for batch in stretch.batches)
        times.append(time.perf_counter() - begun)
        if told != size:
            raise SystemExit(f"{told} of {size} were told")
    peak = psutil.Process().memory_info().rss / 1e6
    json.dump({"subscribers": size, "seconds": round(median(times), 3), "peak_mb": round(peak, 1)}, sys.stdout)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
