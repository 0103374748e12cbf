"""Subscribers as rows: what they chose and where they stand, never how they are reached. Pure."""

from typing import Any

from pipeline.projection.reading import Said
from pipeline.subscribers import fold
from schemas.subscriber import Subscriber

Row = dict[str, Any]


def after(before: Subscriber | None, said: Said) -> Subscriber | None:
    """The subscriber with what was said; without contact data, which the projection never holds."""
    found = fold(said.subscriber, before, said.event, said.at)
    return None if found is None else found.model_copy(update={"contact": None})


def row_of(subscriber: Subscriber) -> Row:
    """Their row. Of whoever was erased, or is somebody else now, nothing that was theirs is left."""
    choices, profile, standing = subscriber.choices, subscriber.profile, subscriber.standing
    gone = subscriber.erased or subscriber.merged_into is not None
    chosen: Row = {
        "audiences": list(choices.audiences),
        "channels": [channel.value for channel in choices.channels],
        "components": list(choices.components),
        "frequency": choices.frequency.value,
        "level": choices.level.value if choices.level else None,
        "language": choices.language,
        "time_zone": choices.time_zone,
        "roles": list(profile.roles),
        "contract": profile.contract,
        "country": profile.country,
        "consent": standing.consent,
        "unconfirmed": [channel.value for channel in standing.unconfirmed],
    }
    return {
        "subscriber": subscriber.id,
        "kind": subscriber.kind.value,
        **(dict.fromkeys(chosen) if gone else chosen),
        "opted_out": {channel.value: one.reason for channel, one in subscriber.opted_out.items()},
        "merged_into": subscriber.merged_into,
        "erased": subscriber.erased,
        "at": subscriber.at,
        "state": subscriber.model_dump_json(exclude={"contact"} | ({"address_tokens"} if gone else set())),
    }
