"""What comes back, and what follows from it for who is told: pure.

A hard bounce suppresses the channel at once; soft ones do after as many messages in a row as the policy says. Behind a
distribution list stand many: what concerns one member of it concerns nobody else.
"""

from datetime import datetime, timedelta
from enum import StrEnum

from pipeline.deliver.ledger import Ledger
from pipeline.deliver.people import Someone
from schemas.base import Channel
from schemas.receipt import BounceReceived
from schemas.subscriber import Bounced, Complained, Stopped, SubscriberEvent, SubscriberKind

SETTLED = timedelta(days=2)
"""A message that was taken so long ago and did not come back has arrived. Mail servers give up after four to five days
(RFC 5321 section 4.5.4.1), but tell of a delay after hours."""
LOOKED_BACK = timedelta(days=90)
"""A row of soft bounces reaches back no further."""


class Came(StrEnum):
    """A message came back, as it stands in a receipt's record."""

    HARD = "bounced_hard"
    SOFT = "bounced_soft"
    BLOCKED = "bounced_blocked"
    OF_A_MEMBER = "bounced_of_a_list_member"


COMPLAINED = "complained"

NOT_DELIVERED = frozenset({"undelivered", "failed"})
NO_SUCH_PHONE = frozenset({"30005", "30006"})
"""Twilio's codes: an unknown destination handset; a landline, which takes no text message."""
NOT_REACHED = frozenset({"30003"})
"""Switched off, or out of reach."""
STOPPED_AT_PROVIDER = frozenset({"21610"})
"""They have answered STOP to the provider, which with a messaging service is said by the callback alone."""


def came_back(subscriber: Someone | None, heard: BounceReceived) -> Came:
    """What a bounce is to be put on record as, given whose address failed."""
    other = subscriber is not None and heard.address_token != subscriber.address_tokens.get(heard.channel)
    if subscriber is not None and subscriber.kind is SubscriberKind.LIST and other:
        return Came.OF_A_MEMBER
    if heard.kind == "hard" and other and heard.address_token is not None:
        # Another address failed than theirs: behind a forwarding, or theirs is new since. That must not silence them.
        return Came.SOFT
    return Came(f"bounced_{heard.kind}")


def text_came_back(status: str, code: str | None) -> Came | None:
    """What a status callback of a text message says of the number."""
    if status not in NOT_DELIVERED:
        return None
    return Came.HARD if code in NO_SUCH_PHONE else Came.SOFT if code in NOT_REACHED else None


def soft_in_a_row(ledger: Ledger, channel: Channel, recipient: str, at: datetime) -> int:
    """How many of the last messages to them came back softly: up to the last that arrived."""
    soft = ledger.soft(channel, recipient)
    count = 0
    for told in ledger.tried_since(channel, at - LOOKED_BACK) if soft else ():
        work = ledger.work(told, recipient)
        if told in soft:
            count += 1
        elif work is not None and work.heard and work.tried is not None and work.tried <= at - SETTLED:
            break
    return count


def consequence(
    subscriber: Someone | None, channel: Channel, came: Came, code: str | None, in_a_row: int, allowed: int
) -> SubscriberEvent | None:
    """What follows for the subscriber; None: nothing. `allowed`: of how many soft ones in a row."""
    if subscriber is None or subscriber.erased:
        return None
    if came is Came.HARD:
        return Bounced(channel=channel, code=code or "unspecified")
    if came is Came.SOFT and in_a_row >= allowed:
        return Bounced(channel=channel, code=f"{in_a_row} soft in a row, last {code or 'unspecified'}")
    return None


def complaint(subscriber: Someone | None, channel: Channel) -> SubscriberEvent | None:
    """What follows from a complaint; of a list one member cannot complain for all."""
    if subscriber is None or subscriber.erased or subscriber.kind is SubscriberKind.LIST:
        return None
    return Complained(channel=channel)


def stopped_at_provider(status: str, code: str | None) -> Stopped | None:
    """They left at the provider, which says so afterwards."""
    left = status in NOT_DELIVERED and code in STOPPED_AT_PROVIDER
    return Stopped(channel=Channel.SMS, via="provider") if left else None
