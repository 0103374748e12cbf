"""Two policies on the same incident, down to the single notice: what one of them alone tells, or tells otherwise.

A notice of one policy is matched with one of the other that is for the same audience, of the same kind, and answers the
same event; else with the nearest of the same kind, where a heartbeat an hour later is another heartbeat.
"""

from collections.abc import Iterable, Iterator, Sequence
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
    """Each notice once: by its cause, then by its kind, then alone."""
    left, right = list(old), list(new)
    for near in (_same_cause, _nearby):
        for one in list(left):
            other = min(
                (candidate for candidate in right if near(one, candidate)),
                key=lambda candidate: abs(candidate.at - one.at),
                default=None,
            )
            if other is not None:
                left.remove(one)
                right.remove(other)
                yield one, other
    yield from ((one, None) for one in left)
    yield from ((None, one) for one in right)


def _alike(one: Sent, other: Sent) -> bool:
    return (one.audience, one.kind) == (other.audience, other.kind)


def _same_cause(one: Sent, other: Sent) -> bool:
    """Both answer the same event, or come at the same moment."""
    by_event = one.event is not None and one.event == other.event
    return _alike(one, other) and (by_event or (one.at, one.zones) == (other.at, other.zones))


def _nearby(one: Sent, other: Sent) -> bool:
    near = one.kind not in REPEATED or abs(one.at - other.at) <= NEARBY
    return _alike(one, other) and one.zones == other.zones and near
