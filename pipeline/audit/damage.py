"""Where a log is damaged: makes the best sense of the entries that do not follow on the sound part, and names each."""

from bisect import bisect_left
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from pipeline.audit.findings import Finding, Kind


@dataclass(frozen=True, slots=True)
class Item:
    """Something that stands in the log. `index` is None when it is no entry at all."""

    position: int
    leaf: bytes
    index: int | None = None
    prev: bytes = b""
    record_id: str = ""
    root: bytes | None = None


@dataclass
class Sequel:
    """The sound entries' continuation: placed entries by index, the leaves that were really sealed, what is wrong."""

    placed: dict[int, Item] = field(default_factory=dict)
    sealed: dict[int, bytes] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    extra: dict[tuple[int, bytes], list[Item]] = field(default_factory=dict)
    """Entries too many, by index and leaf: there may be as many of them as somebody likes to put in."""
    gaps: set[range] = field(default_factory=set)

    def put_aside(self, items: Iterable[Item]) -> None:
        """These are too many."""
        for item in items:
            self.extra.setdefault((item.index or 0, item.leaf), []).append(item)

    def take(self, index: int, leaf: bytes) -> bool:
        """Takes one of those that are too many, if there is such a one."""
        if not (found := self.extra.get((index, leaf))):
            return False
        found.pop(0)
        return True


def drop_voids(aside: Sequence[Item], size: int, sealed_ids: Collection[str]) -> tuple[list[Item], int]:
    """What is left of `aside` without the appends of one who was no longer the appender, and how many those were.

    Such an append has the index of an entry that links, and holds a record that is sealed; or it follows on such a one,
    as the commitment to its recipients does, whose id hangs on a seed that nobody else drew.
    """
    left: list[Item] = []
    void: set[bytes] = set()
    for item in aside:
        inside = item.index is not None and item.index < size
        if inside and (item.record_id in sealed_ids or item.prev in void):
            void.add(item.leaf)
        else:
            left.append(item)
    return left, len(aside) - len(left)


def examine(leaves: Sequence[bytes], positions: Sequence[int], aside: Sequence[Item], first_prev: bytes) -> Sequel:
    """What became of the log after its sound part (`leaves`, which stand at `positions`)."""
    sequel = Sequel()
    sequel.put_aside(item for item in aside if item.index is not None and item.index < len(leaves))
    later: dict[int, list[Item]] = {}
    for item in aside:
        if item.index is not None and item.index >= len(leaves):
            later.setdefault(item.index, []).append(item)
    _walk(sequel, later, len(leaves), leaves[-1] if leaves else first_prev)
    _name_unreadable(sequel, positions, [item for item in aside if item.index is None])
    _name_extra(sequel, leaves)
    _name_moved(sequel, positions)
    return sequel


def _walk(sequel: Sequel, later: dict[int, list[Item]], expected: int, leaf: bytes | None) -> None:
    """Takes one entry for each index, one that links where there is one; `leaf`: of the entry before, if known."""
    for index in sorted(later):
        if index > expected:
            sequel.gaps.add(range(expected, index))
            leaf = None
        candidates = later[index]
        chosen = next((item for item in candidates if leaf is None or item.prev == leaf), candidates[0])
        if leaf is None:
            sequel.sealed[index - 1] = chosen.prev
        elif chosen.prev != leaf:
            _broken_link(sequel, index, chosen, leaf)
        sequel.placed[index] = chosen
        sequel.put_aside(item for item in candidates if item is not chosen)
        expected, leaf = index + 1, chosen.leaf


def _broken_link(sequel: Sequel, index: int, item: Item, leaf: bytes) -> None:
    """Entry `index` was sealed over another predecessor than the one with `leaf`: over one put aside, or a lost one."""
    if sequel.take(index - 1, item.prev):
        sequel.sealed[index - 1] = item.prev
        expected = f"one entry, leaf {item.prev.hex()}"
        finding = Finding(Kind.FOREIGN, index - 1, expected, f"another before it, leaf {leaf.hex()}")
    elif index == 0:
        finding = Finding(Kind.CHANGED, 0, f"prev {leaf.hex()} in the first entry", f"prev {item.prev.hex()}")
    else:
        sequel.sealed[index - 1] = item.prev
        expected = f"leaf {item.prev.hex()}, over which entry {index} was sealed"
        finding = Finding(Kind.CHANGED, index - 1, expected, f"leaf {leaf.hex()}")
    sequel.findings.append(finding)


def _name_unreadable(sequel: Sequel, positions: Sequence[int], unreadable: Iterable[Item]) -> None:
    """Something unreadable in the place of an entry is that entry, damaged; what is left of the gaps is missing."""
    by_position = sorted([*enumerate(positions), *((i, item.position) for i, item in sequel.placed.items())],
                         key=lambda pair: pair[1])  # fmt: skip
    where = [position for _, position in by_position]
    taken: dict[int, int] = {}
    for item in unreadable:
        place = bisect_left(where, item.position)
        index = _free(taken, by_position[place - 1][0] + 1 if place else 0)
        finding = Finding(Kind.UNREADABLE, index, "an entry", f"what is none, at position {item.position}")
        sequel.findings.append(finding)
    standing_in = sorted(taken)
    for gap in sorted(sequel.gaps, key=lambda gap: gap.start):
        damaged = set(standing_in[bisect_left(standing_in, gap.start) : bisect_left(standing_in, gap.stop)])
        if len(damaged) < len(gap):
            first = next(index for index in gap if index not in damaged)
            what = f"entry {first}" if len(gap) == 1 else f"{len(gap) - len(damaged)} of entries {gap[0]}-{gap[-1]}"
            sequel.findings.append(Finding(Kind.MISSING, first, what, f"entry {gap.stop} next"))


def _free(taken: dict[int, int], index: int) -> int:
    """Takes the first number from `index` on that is not taken. `taken`: of each, one from which to look on."""
    found = index
    while found in taken:
        found = taken[found]
    while index in taken:  # whoever comes next gets there in one step
        taken[index], index = found, taken[index]
    taken[found] = found + 1
    return found


def _name_extra(sequel: Sequel, leaves: Sequence[bytes]) -> None:
    extra = (item for items in sequel.extra.values() for item in items)
    for item in sorted(extra, key=lambda item: item.position):
        index = item.index or 0
        ours = leaves[index] if index < len(leaves) else sequel.placed[index].leaf
        kind = Kind.REPEATED if item.leaf == ours else Kind.FOREIGN
        found = f"another at position {item.position}, leaf {item.leaf.hex()}"
        sequel.findings.append(Finding(kind, index, f"one entry, leaf {ours.hex()}", found))


def _name_moved(sequel: Sequel, positions: Sequence[int]) -> None:
    """Those that have to move for all the rest to be in order: what is outside a longest increasing run."""
    order = [*enumerate(positions), *sorted((index, item.position) for index, item in sequel.placed.items())]
    in_order = _longest_increasing([position for _, position in order])
    for place, (index, position) in enumerate(order):
        if place not in in_order:
            after = f"after entry {order[place - 1][0]}" if place else "first"
            sequel.findings.append(Finding(Kind.MOVED, index, f"entry {index} {after}", f"it at position {position}"))


def _longest_increasing(values: Sequence[int]) -> set[int]:
    """The places of a longest increasing subsequence (patience sorting)."""
    tails: list[int] = []
    at: list[int] = []
    before: list[int | None] = []
    for place, value in enumerate(values):
        pile = bisect_left(tails, value)
        before.append(at[pile - 1] if pile else None)
        tails[pile : pile + 1] = [value]
        at[pile : pile + 1] = [place]
    found: set[int] = set()
    place_or_none = at[-1] if at else None
    while place_or_none is not None:
        found.add(place_or_none)
        place_or_none = before[place_or_none]
    return found
