"""Fan-out: which of a partition's subscribers a notice is for, on which of their channels, in which batches.

`heard` is, for each subscriber, on which channels they are to get a notice because of what they heard of the incident
before: the end, if they were told that it began (`pipeline.deliver.past.owed`); a correction, if they got the wrong
text (`past.got`).
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipeline.deliver.groups import folded, membership
from pipeline.deliver.people import People, Person, Someone
from schemas.base import CHANNELS, Channel, Level
from schemas.delivery import MAX_BATCH, DeliveryBatch
from schemas.ids import batch_id, derived
from schemas.notice import Notice
from schemas.rendering import Rendering, zone_of
from schemas.subscriber import Choices, Subscriber, SubscriberKind

Channels = frozenset[Channel]
Way = tuple[Channel, Rendering, str]
"""A channel, the words on it, and the time zone by which their times are said."""
NONE: Channels = frozenset()
ON_RECORD = frozenset({"never_told"})
"""Reasons that are a rule about this person alone: such messages are intended all the same, so that `admit`, which asks
once more, puts their suppression on record. Who is merely not concerned has no record of their own: a notice for one
component must not write a line for each of a million who chose another; `why_not` gives the same answer at any time."""

STRETCH = 1_000
"""Subscribers looked at in one go: some five milliseconds."""
SETTLED_EVERY = 20
"""Stretches after which batches go out that are not full, so that whoever takes over need not begin anew."""

RANK = {level: rank for rank, level in enumerate(Level)}


class Reach:
    """A notice made ready for being asked about a million subscribers: whom it is for, and in which words."""

    def __init__(self, notice: Notice) -> None:
        self.notice = notice
        self._group = membership(notice.group)
        self._outranked_by = [membership(group) for group in notice.outranked_by]
        self._never = [membership(group) for group in notice.never]
        self._components = folded(notice.components)
        self._regions = folded(notice.regions)
        self._renderings: dict[Channel, list[Rendering]] = {}
        for rendering in notice.renderings:
            if RANK[rendering.level] <= RANK[notice.level]:  # whatever is offered, nobody reads above the notice's
                self._renderings.setdefault(rendering.content.channel, []).append(rendering)
        self._chosen: dict[tuple[Channel, str, Level | None], Rendering] = {}

    def why_not(self, subscriber: Someone, heard: Channels = NONE) -> str | None:
        """The rule by which this subscriber is not told; None if they are."""
        return self._not_concerned(subscriber, heard) or self._never_told(subscriber)

    def channels(self, subscriber: Someone, heard: Channels = NONE) -> tuple[Channel, ...]:
        """On which channels a message to them is intended: none if it is not for them."""
        if self._not_concerned(subscriber, heard) is not None:
            return ()
        wanted = self._wanted(subscriber, heard)
        found = tuple([channel for channel in CHANNELS if channel in wanted and channel in self._renderings])
        return found or self._instead(subscriber)

    def rendering(self, choices: Choices, channel: Channel) -> Rendering:
        """The words for whoever chose so. Their language before their level: what is not understood is no detail."""
        key = (channel, choices.language, choices.level)
        if key not in self._chosen:
            self._chosen[key] = self._choose(self._renderings[channel], choices)
        return self._chosen[key]

    def _choose(self, offered: list[Rendering], choices: Choices) -> Rendering:
        language, default = choices.language.partition("-")[0].lower(), offered[0].language
        level = choices.level if choices.level in {r.level for r in offered} else self.notice.level

        def fits(rendering: Rendering) -> tuple[bool, bool, bool, int]:
            said = rendering.language
            return said == language, said == default, rendering.level == level, RANK[rendering.level]

        return max(offered, key=fits)

    def _not_concerned(self, subscriber: Someone, heard: Channels) -> str | None:
        notice = self.notice
        if notice.corrects is not None:
            return None if heard else "did_not_get_what_is_corrected"
        if notice.closing and heard:
            return None  # whatever they chose since: nobody who was told that it began is left without the end
        if subscriber.erased:
            return "erased"
        if not self._group.has(subscriber):
            return "not_of_this_audience"
        if any(group.has(subscriber) for group in self._outranked_by):
            return "told_in_a_higher_audience"
        if notice.zones and subscriber.choices.time_zone not in notice.zones:
            return "other_time_zone"
        if self._elsewhere(subscriber.profile.regions, self._regions):
            return "other_regions"
        if self._elsewhere(subscriber.choices.components, self._components):
            return "other_components"
        if self._renderings.keys().isdisjoint(subscriber.choices.channels):
            return "no_channel_of_theirs"
        return None

    def _never_told(self, subscriber: Someone) -> str | None:
        return "never_told" if any(group.has(subscriber) for group in self._never) else None

    @staticmethod
    def _elsewhere(theirs: tuple[str, ...], affected: frozenset[str]) -> bool:
        """Whether both are named and have nothing in common; who named nothing is concerned by everything."""
        return bool(theirs and affected) and affected.isdisjoint(folded(theirs))

    def _wanted(self, subscriber: Someone, heard: Channels) -> Iterable[Channel]:
        if self.notice.corrects is not None:
            return heard
        if self.notice.closing and heard and self._not_concerned(subscriber, NONE) is not None:
            return heard
        return heard.union(subscriber.choices.channels) if heard else subscriber.choices.channels

    def _instead(self, subscriber: Someone) -> tuple[Channel, ...]:
        """For whoever must be reached and heard it on a channel that is not offered any more: one that they chose, else
        any, where `admit` or the missing address puts on record why they could not be told.
        """
        chosen = [channel for channel in subscriber.choices.channels if channel in self._renderings]
        return tuple((chosen or list(self._renderings))[:1])


def why_not(subscriber: Someone, notice: Notice, heard: Channels = NONE) -> str | None:
    """The rule by which `subscriber` is not told `notice`; None if they are. What fan-out itself goes by."""
    return Reach(notice).why_not(subscriber, heard)


def channels_for(subscriber: Someone, notice: Notice, heard: Channels | None = None) -> tuple[Channel, ...]:
    """On which channels a message of `notice` to this subscriber is intended."""
    return Reach(notice).channels(subscriber, heard or NONE)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of the walk. `settled`: everybody up to and including `up_to` who is to be told is in a batch by now."""

    up_to: str
    batches: tuple[DeliveryBatch, ...]
    settled: bool


def once_more(
    notice: Notice, channel: Channel, turns: Mapping[str, int], subscribers: Mapping[str, Someone], order: str
) -> Iterator[DeliveryBatch]:
    """The batches by which a person's order brings messages of `notice` back: for each recipient the turn to come."""
    reach = Reach(notice)
    groups: dict[tuple[int, str, str], tuple[Rendering, list[str]]] = {}
    for id_, turn in sorted(turns.items()):
        choices = (subscribers.get(id_) or _nobody(id_, notice)).choices
        rendering = reach.rendering(choices, channel)
        group = (turn, rendering.sha256, zone_of(rendering, choices.time_zone))
        groups.setdefault(group, (rendering, []))[1].append(id_)
    for (turn, _, zone), (rendering, ids) in sorted(groups.items(), key=lambda item: item[0]):
        for recipients in batched_ids(ids):
            name = derived("ordered", notice.notice_id, channel, *recipients)
            made = _batch(notice, name, rendering, zone, recipients)
            yield made.model_copy(update={"attempt": turn, "ordered": order})


def _batch(notice: Notice, id_: str, rendering: Rendering, zone: str, recipients: tuple[str, ...]) -> DeliveryBatch:
    return DeliveryBatch(
        batch_id=id_,
        notice_id=notice.notice_id,
        incident=notice.incident,
        seq=notice.seq,
        kind=notice.kind,
        audience=notice.audience,
        channel=rendering.content.channel,
        lane=notice.lane,
        closing=notice.closing,
        urgent=notice.urgent,
        severity=notice.severity,
        corrects=notice.corrects,
        at=notice.at,
        rendering=rendering,
        zone=zone,
        manners=notice.manners,
        never=notice.never,
        clock=notice.clock,
        recipients=recipients,
    )


def batched_ids(ids: list[str]) -> Iterator[tuple[str, ...]]:
    """At most 500 ids at a time."""
    for start in range(0, len(ids), MAX_BATCH):
        yield tuple(ids[start : start + MAX_BATCH])


def walk(
    notice: Notice, partition: int, subscribers: Mapping[str, Someone], heard: Mapping[str, Channels], after: str = ""
) -> Iterator[Stretch]:
    """The batches of a notice in one partition, in the order of subscriber ids, from behind `after` on.

    In stretches of a few milliseconds, so that whoever walks a million can do something else in between. Who reads
    the same bytes shares a batch; those that are not full wait for more, until all are settled.
    """
    ways, groups = _Ways(Reach(notice)), _Groups(notice, partition)
    ids = sorted(heard) if notice.corrects is not None else _in_order(subscribers, heard)
    ids = ids[bisect_right(ids, after) :] if after else ids
    for number, start in enumerate(range(0, len(ids), STRETCH), 1):
        made: list[DeliveryBatch] = []
        part = ids[start : start + STRETCH]
        for id_ in part:
            subscriber: Someone = subscribers.get(id_) or _nobody(id_, notice)
            for channel, rendering, zone in ways.to(subscriber, heard.get(id_, NONE)):
                if (full := groups.add(id_, channel, rendering, zone)) is not None:
                    made.append(full)
        settled = number % SETTLED_EVERY == 0 or start + STRETCH >= len(ids)
        yield Stretch(part[-1], (*made, *(groups.rest() if settled else ())), settled)


class _Ways:
    """On which channels, in which words and by which clock: found once for all who chose alike and heard the same."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._found: dict[tuple[int, Channels], tuple[Way, ...]] = {}

    def to(self, subscriber: Someone, heard: Channels) -> tuple[Way, ...]:
        """The ways to one of them; none if the notice is not for them."""
        if not isinstance(subscriber, Person):
            return self._ways(subscriber, heard)
        key = (subscriber.shared, heard)
        ways = self._found.get(key)
        if ways is None:
            ways = self._found[key] = self._ways(subscriber, heard)
        return ways

    def _ways(self, subscriber: Someone, heard: Channels) -> tuple[Way, ...]:
        choices = subscriber.choices
        offered = [(one, self._reach.rendering(choices, one)) for one in self._reach.channels(subscriber, heard)]
        return tuple((channel, words, zone_of(words, choices.time_zone)) for channel, words in offered)


class _Groups:
    """Those who read the same bytes, while their batch is not full."""

    def __init__(self, notice: Notice, partition: int) -> None:
        self._notice = notice
        self._partition = partition
        self._open: dict[tuple[Channel, str, str], tuple[Rendering, list[str]]] = {}

    def add(self, id_: str, channel: Channel, rendering: Rendering, zone: str) -> DeliveryBatch | None:
        """One more of them; the batch, if that makes it full."""
        key = (channel, rendering.sha256, zone)
        ids = self._open.setdefault(key, (rendering, []))[1]
        ids.append(id_)
        return self._batch(key, *self._open.pop(key)) if len(ids) == MAX_BATCH else None

    def rest(self) -> tuple[DeliveryBatch, ...]:
        """What is not full, as it is."""
        made = tuple(self._batch(key, *group) for key, group in sorted(self._open.items(), key=lambda item: item[0]))
        self._open.clear()
        return made

    def _batch(self, key: tuple[Channel, str, str], rendering: Rendering, ids: list[str]) -> DeliveryBatch:
        channel, sha256, zone = key
        name = batch_id(self._notice.notice_id, channel, self._partition, sha256, zone, ids[0])
        return _batch(self._notice, name, rendering, zone, tuple(ids))


def _in_order(subscribers: Mapping[str, Someone], heard: Mapping[str, Channels]) -> Sequence[str]:
    """Everybody's id, sorted. The people of a partition keep theirs in order."""
    known = subscribers.in_order() if isinstance(subscribers, People) else sorted(subscribers)
    gone = [id_ for id_ in heard if id_ not in subscribers]
    return sorted((*known, *gone)) if gone else known


def _nobody(id_: str, notice: Notice) -> Subscriber:
    """Someone who was told before and whom nobody knows (any more): the message ends on record as that."""
    choices = Choices(audiences=(), channels=())
    return Subscriber(id=id_, kind=SubscriberKind.PERSON, choices=choices, at=notice.at)
