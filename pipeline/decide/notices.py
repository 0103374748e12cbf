"""Notices as they are emitted: a telling with its words, and how each recipient is treated."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from datetime import datetime

from pipeline.decide.audience import group_of, never, outranking
from pipeline.decide.compose import compose
from pipeline.decide.enrich import components_after, regions_after
from pipeline.decide.occasion import Occasion, Telling
from pipeline.decide.occasions import count_of, readers_of
from pipeline.decide.state import IncidentState
from pipeline.decide.step import Step
from pipeline.decide.turn import ENDS
from pipeline.policy import Policy
from schemas import ids
from schemas.base import Channel, Lane
from schemas.journal import JournaledInput, NoticeKind
from schemas.notice import Notice, Notices, PlayedClock
from schemas.rendering import Rendering

WAKING = frozenset(
    {NoticeKind.OPENED, NoticeKind.REOPENED, NoticeKind.IMPACT_CHANGED, NoticeKind.CORRECTION, NoticeKind.RETRACTION}
)
"""Kinds that wake somebody up when the incident is bad enough; that it is over can wait for the morning."""
TOGETHER_BYTES = 256 * 1024
"""Of notices in one record, as JSON; Kafka takes four times as much. One alone may be longer."""


def composed(
    state: IncidentState,
    telling: Telling,
    occasion: Occasion,
    policy: Policy,
    channels: Collection[Channel] | None,
) -> tuple[Rendering, ...]:
    """The words, for those who read them."""
    readers = readers_of(telling, count_of(state, telling), occasion.worst, policy)
    return compose(telling, replace(occasion, readers=readers), policy, channels)


def notice_of(
    state: IncidentState,
    step: Step,
    telling: Telling,
    among: tuple[Telling, ...],
    seq: int,
    at: datetime,
    renderings: tuple[Rendering, ...],
    given: JournaledInput,
    policy: Policy,
) -> Notice:
    """The notice of a telling; `among` are all that are told in the same entry, `given` what they are told of."""
    before, now = tuple(state.known.components or ()), tuple(step.known.components or ())
    ended = telling.kind in ENDS
    severity = step.known.severity
    return Notice(
        notice_id=ids.notice_id(state.incident, seq, telling.audience, telling.corrects),
        incident=state.incident,
        seq=seq,
        at=at,
        kind=telling.kind,
        group=group_of(telling.audience, policy),
        level=telling.level,
        lane=telling.lane,
        closing=ended,
        urgent=severity in policy.cadence.recipient.urgent and telling.kind in WAKING,
        severity=severity,
        # Those whose component is no longer concerned hear of just that; the end is for all who ever were.
        components=components_after(state, step.known) if ended else tuple(dict.fromkeys((*now, *before))),
        regions=regions_after(state, step.known) if ended else tuple(step.known.regions or ()),
        zones=telling.zones,
        corrects=telling.corrects,
        outranked_by=outranking(among, telling, policy),
        never=never(telling.audience, step, policy),
        manners=policy.manners,
        clock=_played(given),
        renderings=renderings,
    )


def _played(given: JournaledInput) -> PlayedClock | None:
    """The clock of a played incident: the hours of its readers are those of its own night."""
    virtual = given.virtual
    if virtual is None:
        return None
    return PlayedClock(time=virtual.time, speed=virtual.speed, real=given.appended_at)


def together(notices: Iterable[Notice]) -> Iterator[tuple[Lane, Notices]]:
    """The records that bring these notices, in their order: those of a lane in one, but for very large ones.

    Faust takes much the same time for a record whether one notice is in it or five.
    """
    lanes: dict[Lane, list[Notice]] = {}
    for notice in notices:
        lanes.setdefault(notice.lane, []).append(notice)
    for lane, those in lanes.items():
        batch: list[Notice] = []
        size = 0
        for notice in those:
            octets = len(notice.model_dump_json().encode())
            if batch and size + octets > TOGETHER_BYTES:
                yield lane, Notices(notices=tuple(batch))
                batch, size = [], 0
            batch.append(notice)
            size += octets
        yield lane, Notices(notices=tuple(batch))
