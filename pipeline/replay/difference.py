"""Two policies on the same incident, down to the single notice: what one of them alone tells, or tells otherwise.

A notice of one policy is matched with one of the other that is for the same audience, of the same kind, and answers the
same event; else with the nearest of the same kind, where a heartbeat an hour later is another heartbeat.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from pipeline.replay.results import Result, Sent
from schemas.journal import NoticeKind

NEARBY = timedelta(minutes=30)
"""How far apart two notices of a kind that the clock repeats may be and still be the same one, moved."""
REPEATED = frozenset({NoticeKind.UNCHANGED, NoticeKind.REMINDER, NoticeKind.MAINTENANCE_SOON, NoticeKind.DIGEST})


class Change(StrEnum):
    """How a notice differs."""

    ONLY_OLD = "only in old"
    ONLY_NEW = "only in new"
    MOVED = "moved in time"
    OTHER_CHANNELS = "other channels"
    OTHER_WORDS = "other words"


@dataclass(frozen=True, slots=True)
class Changed:
    """One notice that differs; one of the two is missing where only the other policy tells it."""

    change: Change
    old: Sent | None
    new: Sent | None

    @property
    def notice(self) -> Sent:
        """The new one where there is one."""
        one = self.new or self.old
        if one is None:
            raise ValueError("a difference is about at least one notice")
        return one


@dataclass(frozen=True, slots=True)
class IncidentDifference:
    """Everything that differs in one incident, in the order of time, and how many notices are as before."""

    incident: str
    title: str
    same: int
    changes: tuple[Changed, ...]


def differences(old: Sequence[Result], new: Sequence[Result]) -> list[IncidentDifference]:
    """Incident by incident; both are of the same incidents in the same order."""
    return [_of_one(before, after) for before, after in zip(old, new, strict=True)]


def counted(found: Iterable[IncidentDifference]) -> dict[str, int]:
    """How many notices are the same, and how many differ in which way; a notice may differ in two."""
    counts = {"same": 0} | {change.value: 0 for change in Change}
    for one in found:
        counts["same"] += one.same
        for changed in one.changes:
            counts[changed.change.value] += 1
    return counts


def _of_one(old: Result, new: Result) -> IncidentDifference:
    pairs = list(_paired(old.sent, new.sent))
    changes = [changed for before, after in pairs for changed in _compared(before, after)]
    return IncidentDifference(
        incident=new.incident,
        title=new.title,
        same=sum(not any(True for _ in _compared(before, after)) for before, after in pairs),
        changes=tuple(
            sorted(changes, key=lambda changed: (changed.notice.at, changed.notice.audience, changed.change))
        ),
    )


def _compared(old: Sent | None, new: Sent | None) -> Iterator[Changed]:
    if old is None or new is None:
        yield Changed(Change.ONLY_NEW if old is None else Change.ONLY_OLD, old, new)
        return
    if old.at != new.at:
        yield Changed(Change.MOVED, old, new)
    if (old.channels, old.zones) != (new.channels, new.zones):
        yield Changed(Change.OTHER_CHANNELS, old, new)
    elif old.words != new.words:
        yield Changed(Change.OTHER_WORDS, old, new)


def _paired(old: Sequence[Sent], new: Sequence[Sent]) -> Iterator[tuple[Sent | None, Sent | None]]:
    """Each notice once: by its cause, then by its kind, then alone. Only notices alike can be one and the same."""
    alike: dict[tuple[str, NoticeKind], tuple[list[Sent], list[Sent]]] = {}
    for side, notices in enumerate((old, new)):
        for one in notices:
            alike.setdefault((one.audience, one.kind), ([], []))[side].append(one)
    for before, after in alike.values():
        for near in (_same_cause, _nearby):
            yield from _nearest(before, after, near)
        yield from ((one, None) for one in before)
        yield from ((None, one) for one in after)


def _nearest(before: list[Sent], after: list[Sent], near: Callable[[Sent, Sent], bool]) -> Iterator[tuple[Sent, Sent]]:
    """The pairs that are `near`, the nearest in time first; they are taken out of both lists."""
    pairs = [(abs(b.at - a.at), i, j) for i, b in enumerate(before) for j, a in enumerate(after) if near(b, a)]
    taken: list[tuple[Sent, Sent]] = []
    lefts, rights = set[int](), set[int]()
    for _, i, j in sorted(pairs):
        if i not in lefts and j not in rights:
            lefts.add(i)
            rights.add(j)
            taken.append((before[i], after[j]))
    before[:] = [one for i, one in enumerate(before) if i not in lefts]
    after[:] = [one for j, one in enumerate(after) if j not in rights]
    yield from taken


def _same_cause(one: Sent, other: Sent) -> bool:
    """Both answer the same event, or come at the same moment."""
    by_event = one.event is not None and one.event == other.event
    return by_event or (one.at, one.zones) == (other.at, other.zones)


def _nearby(one: Sent, other: Sent) -> bool:
    near = one.kind not in REPEATED or abs(one.at - other.at) <= NEARBY
    return one.zones == other.zones and near
