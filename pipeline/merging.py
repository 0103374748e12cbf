"""Merging: two who have one address are one, so that nobody is told the same twice. Pure.

The newer choice is taken, and nothing that either was to hear is lost: audiences, roles and regions of both, the
addresses that only one of them gave. An opt-out of either holds.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pipeline import subscribers
from pipeline.addresses import BadAddress
from pipeline.registrations import LISTS, Numbered, Refused, contact_in
from pipeline.subscribers import Registration
from pipeline.vault import ContactData, Vault
from schemas.base import Channel
from schemas.subscriber import Bounced, Complained, OptOut, Stopped, SubscriberEvent, Unsubscribed

UNITED = frozenset(LISTS) - {"components"}
"""Fields of a line that are united; of components the newer choice is taken, since none means all of them."""


@dataclass(frozen=True, slots=True)
class SameLine:
    """A line that says more of somebody whom an earlier line names."""

    line: int
    with_line: int


def lines_made_one(lines: Iterable[Numbered], vault: Vault) -> list[Numbered | SameLine]:
    """The lines of a file, in which those with an address in common are one: at the place of the first of them."""
    found: list[Numbered | SameLine] = []
    places: dict[tuple[Channel, str], int] = {}
    for line in lines:
        tokens = _tokens(line, vault)
        place = next((places[token] for token in tokens if token in places), None)
        first = found[place] if place is not None else None
        if place is None or not isinstance(first, Numbered) or first.fields is None or line.fields is None:
            place = len(found)
            found.append(line)
        elif (clash := _two_ids(first.fields, line.fields)) is not None:
            found.append(
                Numbered(line.line, refused=f"id: line {first.line} has the same address under the id {clash}")
            )
        else:
            found[place] = replace(first, fields=_united(first.fields, line.fields))
            found.append(SameLine(line.line, first.line))
        for token in tokens:
            places.setdefault(token, place)
    return found


def _tokens(line: Numbered, vault: Vault) -> list[tuple[Channel, str]]:
    try:
        contact = contact_in(line.fields or {}, ContactData())
        return list(subscribers.address_tokens(vault, contact).items())
    except (Refused, BadAddress):
        return []  # it is refused with its reason when its turn comes


def _two_ids(first: Mapping[str, Any], second: Mapping[str, Any]) -> str | None:
    one, other = first.get("id"), second.get("id")
    return one if one and other and one != other else None


def _united(older: Mapping[str, Any], newer: Mapping[str, Any]) -> dict[str, Any]:
    both = {name: [*older[name], *newer[name]] for name in UNITED & older.keys() & newer.keys()}
    return {**older, **newer, **{name: list(dict.fromkeys(values)) for name, values in both.items()}}


def made_one(row: Registration, others: Sequence[Registration]) -> Registration:
    """`row`, the newer word, with what the `others`, who are the same, were to hear besides."""
    for other in others:
        contact = ContactData(
            name=row.contact.name or other.contact.name,
            email=row.contact.email or other.contact.email,
            phone=row.contact.phone or other.contact.phone,
            handle=row.contact.handle or other.contact.handle,
            webhook=row.contact.webhook or other.contact.webhook,
            webhook_secret=(row if row.contact.webhook else other).contact.webhook_secret,
            apprise=row.contact.apprise or other.contact.apprise,
        )
        chosen = [c for c in other.choices.channels if contact.address(c) == other.contact.address(c)]
        choices = row.choices.model_copy(
            update={
                "audiences": _all(row.choices.audiences, other.choices.audiences),
                "channels": _all(row.choices.channels, chosen),
            }
        )
        profile = row.profile.model_copy(
            update={
                "roles": _all(row.profile.roles, other.profile.roles),
                "regions": _all(row.profile.regions, other.profile.regions),
                "contract": row.profile.contract or other.profile.contract,
                "country": row.profile.country or other.profile.country,
            }
        )
        row = replace(row, contact=contact, choices=choices, profile=profile, consent=row.consent or other.consent)
    return row


def _all(some: Iterable[Any], more: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys([*some, *more]))


def as_event(channel: Channel, reason: str) -> Unsubscribed | Bounced | Complained | Stopped:
    """The event that brings an opt-out of this reason."""
    match reason:
        case "bounced":
            return Bounced(channel=channel, code="taken over")
        case "complained":
            return Complained(channel=channel)
        case "stopped":
            return Stopped(channel=channel, via="provider")
        case _:
            return Unsubscribed(channel=channel, via="operator")


def carried(held: Mapping[Channel, OptOut], to: Mapping[Channel, OptOut]) -> tuple[SubscriberEvent, ...]:
    """The events by which the opt-outs `held` hold for somebody who has those in `to` already."""
    weaker = subscribers.STRENGTH.index
    return tuple(
        as_event(channel, opt_out.reason)
        for channel, opt_out in held.items()
        if channel not in to or weaker(to[channel].reason) < weaker(opt_out.reason)
    )
