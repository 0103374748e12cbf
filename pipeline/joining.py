"""Joining: somebody who signed up by themselves turns out to be somebody known. Pure.

Which of two stays is read from their ids alone, so that whoever looks, from whichever side, comes to the same.
"""

from collections.abc import Iterator

from pipeline.deliver.people import Someone
from pipeline.merging import as_event
from schemas.base import Channel
from schemas.receipt import AddressConfirmed
from schemas.subscriber import (
    SIGNED_UP,
    Choices,
    ChoicesChanged,
    Confirmed,
    Merged,
    SubscriberEvent,
    SubscriberKind,
)

LASTING = ("complained", "stopped")
"""What a confirmation does not lift goes with the address."""
Said = tuple[str, SubscriberEvent]
"""An event, and of whom it is."""


def joined(known: Someone, heard: AddressConfirmed) -> Iterator[Said]:
    """The events by which `known`, who has that address too, and whoever confirmed it become one."""
    gone = known.id == heard.subscriber or known.erased or known.merged_into is not None
    if gone or known.kind is SubscriberKind.LIST:
        return
    channel, same = heard.channel, (heard.channel,)
    if stays(known.id, heard.subscriber):
        yield known.id, ChoicesChanged(choices=united(known, heard))
        yield known.id, Confirmed(channels=same, address_tokens={channel: heard.address_token})
        yield heard.subscriber, Merged(into=known.id, channels=same)
        return
    held = known.opted_out.get(channel)
    if held is not None and held.reason in LASTING:
        yield heard.subscriber, as_event(channel, held.reason)
    yield known.id, Merged(into=heard.subscriber, channels=same)


def stays(one: str, other: str) -> bool:
    """Whether `one` of two who are the same keeps their id: rather who was brought in than who signed up."""
    return (one.startswith(SIGNED_UP), one) < (other.startswith(SIGNED_UP), other)


def united(known: Someone, heard: AddressConfirmed) -> Choices:
    """What they chose just now, and what they were to hear besides."""
    before, now = known.choices, heard.choices
    return now.model_copy(
        update={
            "audiences": _all(before.audiences, now.audiences),
            "channels": _all(before.channels, (heard.channel,)),
            "components": before.components,
        }
    )


def _all(some: tuple[str, ...] | tuple[Channel, ...], more: tuple[str, ...] | tuple[Channel, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*some, *more]))
