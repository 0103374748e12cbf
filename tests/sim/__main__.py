"""`python -m tests.sim`: as many seeds as you like, on every core. A failing seed prints the line that replays it."""

import argparse
import gc
import logging
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import NamedTuple

from schemas import codec, topics
from schemas.base import Message
from schemas.codec import Record
from tests.sim.story import lived, tell
from tests.sim.world import FIRED, World

CHUNK = 25
"""Seeds that a worker takes at a time: at the end no core waits long for another."""
WARM = range(5)
"""Seeds that are lived first, for what they load and compile."""
ENOUGH = 1000
"""So many seeds must meet every fault."""
REPORTED_AT_MOST = 20
LINE = 400
"""Characters of a record that are shown."""
SEEDS = 2**48


class Chunk(NamedTuple):
    """What came of some seeds: those that failed, with why, and how often each fault was met."""

    failed: tuple[tuple[int, str], ...]
    fired: Counter[str]


def ready() -> None:
    """Makes once what every world uses, and takes it out of the collector's sight: it went through all of it each time.

    Worlds themselves are collected as ever, in their midst: a task that nobody holds must vanish there.
    """
    logging.disable(logging.CRITICAL)
    tried(WARM)
    gc.collect()
    gc.freeze()


def tried(seeds: Iterable[int]) -> Chunk:
    """Lets each of them be lived."""
    failed: list[tuple[int, str]] = []
    fired: Counter[str] = Counter()
    for seed in seeds:
        try:
            fired += lived(seed).fired
        except Exception as error:
            failed.append((seed, f"{type(error).__name__}: {error}"[:500]))
    return Chunk(tuple(failed), fired)


def chunks(first: int, number: int) -> Iterator[range]:
    """The seeds in portions for the workers."""
    for start in range(first, first + number, CHUNK):
        yield range(start, min(start + CHUNK, first + number))


def main() -> int:
    """Runs what the command line asks for; 1 if any seed failed, or some fault was never met."""
    parser = argparse.ArgumentParser(prog="python -m tests.sim", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many")
    parser.add_argument("--first", type=int, help="the first of them; without it, where nobody has looked before")
    parser.add_argument("--within", type=float, default=3600, help="seconds after which no more are begun")
    parser.add_argument("--seed", type=int, help="this one alone, with everything that it writes")
    asked = parser.parse_args()
    if asked.seed is not None:
        return _one(asked.seed)
    first = asked.first if asked.first is not None else random.SystemRandom().randrange(SEEDS)
    workers = os.cpu_count() or 1
    print(f"simulation: {asked.seeds} seeds from {first}, {workers} at once", flush=True)
    began, done, failed, fired = time.monotonic(), 0, list[int](), Counter[str]()
    with ProcessPoolExecutor(workers, initializer=ready) as pool:
        every = [pool.submit(tried, seeds) for seeds in chunks(first, asked.seeds)]
        for ended in as_completed(every):
            if ended.cancelled():
                continue
            chunk = ended.result()
            done = min(done + CHUNK, asked.seeds)
            if done % (CHUNK * 40) == 0:
                print(f"{done} after {time.monotonic() - began:.0f} s", flush=True)
            fired += chunk.fired
            for seed, why in chunk.failed:
                if len(failed) < REPORTED_AT_MOST:
                    print(f"{why}\n  replay it: python -m tests.sim --seed {seed}", flush=True)
                failed.append(seed)
            if time.monotonic() - began > asked.within:
                for later in every:
                    later.cancel()  # what has begun is still counted
    took_s = time.monotonic() - began
    sum_up = f"{done} of {asked.seeds} seeds in {took_s:.0f} s ({done / took_s:.0f} a second)"
    print(f"{sum_up}, {len(failed)} failed")
    print(", ".join(f"{name} {fired[name]}" for name in FIRED))
    missing = [name for name in FIRED if not fired[name]] if done >= ENOUGH else []
    if missing:
        print(f"never happened, so that nothing was shown of it: {', '.join(missing)}")
    return int(bool(failed or missing))


def _one(seed: int) -> int:
    """Tells the whole story of a seed: every record in the order in which it was written, and what was taken when."""
    world = World(seed)
    try:
        world.run(tell)
        why = "holds"
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
    for record in sorted(world.log.all(*topics.ALL), key=lambda record: record.timestamp):
        print(_line(record, world))
    for taken in world.truth.taken:
        print(f"{(taken.at - world.start).total_seconds():12.3f} taken: {taken.message}")
    print(f"seed {seed}, from {world.start:%Y-%m-%d %H:%M}, {world.digest()}: {why}")
    return int(why != "holds")


def _line(record: Record, world: World) -> str:
    said = "nothing: a tombstone" if record.value is None else str(codec.decode(record, Message).data)
    place = f"{record.topic}-{record.partition}@{record.offset}"
    return f"{(record.timestamp - world.start).total_seconds():12.3f} {place} {said[:LINE]}"


if __name__ == "__main__":
    sys.exit(main())
