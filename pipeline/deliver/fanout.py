"""Fan-out: which of a partition's subscribers a notice is for, on which of their channels, in which batches."""

from collections.abc import Iterable, Iterator, Mapping

from pipeline.deliver.ledger import Heard
from schemas.base import Channel
from schemas.delivery import MAX_BATCH, DeliveryBatch
from schemas.ids import batch_id
from schemas.notice import Notice
from schemas.rendering import Rendering
from schemas.subscriber import Subscriber

DEFAULT_LANGUAGE = "en"


def channels_for(subscriber: Subscriber, notice: Notice, heard: Heard | None) -> tuple[Channel, ...]:
    """On which channels this subscriber is told `notice`; none if it is not for them.

    `heard`: what they heard of this incident before. A closing notice goes there as well, to the audience they heard
    it in, whatever they chose since, so that nobody who was told "open" is left without the end.
    """
    if subscriber.erased:
        return ()
    offered = {rendering.content.channel for rendering in notice.renderings}
    wanted = set(subscriber.choices.channels) if _concerned(subscriber, notice) else set()
    if notice.closing and heard is not None and heard.audience == notice.audience:
        wanted |= heard.channels
    return tuple(channel for channel in Channel if channel in wanted & offered)


def _concerned(subscriber: Subscriber, notice: Notice) -> bool:
    audiences = set(subscriber.choices.audiences)
    if notice.audience not in audiences or audiences & set(notice.outranked_by):
        return False
    components = {name.casefold() for name in subscriber.choices.components}
    affected = {name.casefold() for name in notice.components}
    return not components or not affected or bool(components & affected)


def rendering_for(notice: Notice, channel: Channel, language: str) -> Rendering:
    """The rendering in the subscriber's language, else in English, else in whatever there is."""
    offered = {r.language: r for r in notice.renderings if r.content.channel == channel}
    return offered.get(language) or offered.get(DEFAULT_LANGUAGE) or next(iter(offered.values()))


def batches(
    notice: Notice,
    partition: int,
    subscribers: Iterable[Subscriber],
    heard: Mapping[str, Heard],
) -> Iterator[DeliveryBatch]:
    """The batches of a notice in one partition, in the order of subscriber ids, each with the rendering it needs."""
    groups: dict[tuple[Channel, str], tuple[Rendering, list[str]]] = {}
    for subscriber in sorted(subscribers, key=lambda s: s.id):
        for channel in channels_for(subscriber, notice, heard.get(subscriber.id)):
            rendering = rendering_for(notice, channel, subscriber.choices.language)
            groups.setdefault((channel, rendering.sha256), (rendering, []))[1].append(subscriber.id)
    for number, ((channel, _), (rendering, ids)) in enumerate(sorted(groups.items(), key=lambda item: item[0])):
        for part, recipients in enumerate(batched_ids(ids)):
            yield DeliveryBatch(
                batch_id=batch_id(notice.notice_id, channel, partition, number * 1_000_000 + part),
                notice_id=notice.notice_id,
                incident=notice.incident,
                seq=notice.seq,
                kind=notice.kind,
                audience=notice.audience,
                channel=channel,
                lane=notice.lane,
                closing=notice.closing,
                at=notice.at,
                rendering=rendering,
                recipients=recipients,
            )


def batched_ids(ids: list[str]) -> Iterator[tuple[str, ...]]:
    """At most 500 ids at a time."""
    for start in range(0, len(ids), MAX_BATCH):
        yield tuple(ids[start : start + MAX_BATCH])
