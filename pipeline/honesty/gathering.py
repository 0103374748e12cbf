"""The figures' rows, read from the projection."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import fields
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import func, select

from pipeline.honesty.figures import Figures, Reach, Told, figures
from pipeline.projection.store import Store
from pipeline.projection.tables import NOTICES, PLACE, REACH, STORIES
from pipeline.replay.measure import ASIDE
from pipeline.replay.results import Story

NAMES = tuple(one.name for one in fields(Reach))


@cache
def _stories() -> TypeAdapter[Story]:
    return TypeAdapter(Story)


async def gather(store: Store, since: datetime | None, until: datetime, incident: str | None = None) -> Figures:
    """The figures of the incidents that were first heard of since then, or of one. Raises what the database does."""
    wanted = select(STORIES)
    if since is not None:
        wanted = wanted.where(STORIES.c.heard_at >= since)
    if incident is not None:
        wanted = wanted.where(STORIES.c.incident == incident)
    counted = (
        select(REACH.c.incident, REACH.c.channel, *(func.sum(REACH.c[name]).label(name) for name in NAMES))
        .where(REACH.c.incident.in_(wanted.with_only_columns(STORIES.c.incident)))
        .group_by(REACH.c.incident, REACH.c.channel)
    )
    taken = (
        select(NOTICES.c.incident, NOTICES.c.audience, NOTICES.c.at, NOTICES.c.decided_at, REACH.c.first_accepted_at)
        .join(
            REACH,
            (REACH.c.incident == NOTICES.c.incident)
            & (REACH.c.seq == NOTICES.c.seq)
            & (REACH.c.audience == NOTICES.c.audience),
        )
        .where(NOTICES.c.incident.in_(wanted.with_only_columns(STORIES.c.incident)), NOTICES.c.kind.not_in(ASIDE))
        .where(REACH.c.first_accepted_at.is_not(None))
    )
    async with store.engine.connect() as connection:
        entries = await connection.scalar(select(PLACE.c.entries))
        stories = (await connection.execute(wanted)).all()
        reaches: dict[str, dict[str, Reach]] = defaultdict(dict)
        for row in await connection.execute(counted):
            counts = row._mapping
            reaches[row.incident][row.channel] = Reach(**{name: int(counts[name]) for name in NAMES})
        first = _first((await connection.execute(taken)).all())
    told = [_told(row.heard_at, _stories().validate_json(row.story), reaches, first) for row in stories]
    return figures(told, since, until, entries or 0)


def _first(rows: Iterable[Any]) -> dict[str, dict[str, datetime]]:
    """By incident and audience, when the first message was taken, by the incident's own clock.

    A played incident's clock stands still while messages go out: they go at the pace of the real one.
    """
    found: dict[str, dict[str, datetime]] = defaultdict(dict)
    for incident, audience, at, decided_at, accepted_at in rows:
        moment = at + max(accepted_at - decided_at, timedelta())
        found[incident][audience] = min(found[incident].get(audience, moment), moment)
    return found


def _told(
    heard_at: datetime,
    story: Story,
    reaches: Mapping[str, Mapping[str, Reach]],
    first: Mapping[str, Mapping[str, datetime]],
) -> Told:
    taken = {name: (at - story.began).total_seconds() for name, at in first.get(story.incident, {}).items()}
    return Told(heard_at, story, reaches.get(story.incident, {}), taken)
