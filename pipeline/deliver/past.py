"""The past: what the ledger knows of a recipient beside the intent at hand. What `admit` and fan-out look back on."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from pipeline.deliver.ledger import NOBODY, Ledger
from pipeline.deliver.work import Told, Work
from schemas.base import Channel
from schemas.delivery import DeliveryBatch, Kind, Request
from schemas.journal import NoticeKind

ASIDE: frozenset[Kind] = frozenset(
    {
        NoticeKind.REVIEW,
        NoticeKind.CORRECTION,
        NoticeKind.RETRACTION,
        NoticeKind.REMINDER,
        NoticeKind.DIGEST,
        Request.CONFIRMATION,
    }
)
"""Kinds that do not say how the incident stands now: they make no earlier notice old, and open nothing to be closed."""

Shown = Callable[[datetime], datetime]
"""What an incident's clock shows when ours shows a moment (a played incident has a clock of its own)."""


class Past(NamedTuple):
    """What is known of one recipient, on one channel, when a message to them is admitted.

    `corrected`: what they are to be told was corrected or taken back. `ended`: its audience is told the end already.
    `newer`: they were told, or are to be, how the incident stood later; `newer_end`: that it was over. `begun`: they
    were told, or are to be, anything else of the incident; `heard`: they were. `wrong`: where the message stands that
    this one corrects. `sends`: when messages that count for the cap were begun, in order, by the incident's clock.
    """

    corrected: bool = False
    ended: bool = False
    newer: bool = False
    newer_end: bool = False
    begun: bool = False
    heard: bool = False
    wrong: Work | None = None
    sends: tuple[datetime, ...] = ()


NOTHING = Past()


class Lookback:
    """The past of a batch's recipients at this moment by our clock: what is common to all of them is looked up once."""

    def __init__(self, ledger: Ledger, batch: DeliveryBatch, at: datetime) -> None:
        self._corrected = ledger.corrected(batch.incident, batch.seq, batch.audience)
        self._ended = ledger.ended_after(batch.incident, batch.seq, batch.audience)
        notices = ledger.notices(batch.incident, batch.channel)
        self._later = [ledger.works(told) for told in notices if told.seq > batch.seq]
        self._earlier = [ledger.works(told) for told in reversed(notices) if told.seq < batch.seq]
        self._wrong = NOBODY
        if batch.corrects is not None:
            self._wrong = ledger.works(Told(batch.incident, batch.corrects, batch.channel))
        speed = batch.clock.speed if batch.clock else 1.0
        self._since = at - timedelta(seconds=batch.manners.cap_window_s / speed)
        self._counted = self._in_the_window(ledger, batch)
        self._shown = shown_by(batch)

    def of(self, recipient: str) -> Past:
        """The past of one of them."""
        newer = newer_end = begun = heard = False
        for works in self._later:
            work = works.get(recipient)
            if work is None or not (work.stands or work.heard):
                continue
            begun, heard = True, heard or work.may_have_heard
            if work.about is not None and work.about.kind not in ASIDE:
                newer, newer_end = True, newer_end or work.about.closing
        for works in self._earlier:
            if heard:
                break  # nothing more can follow from what is older still
            work = works.get(recipient)
            if work is not None and (work.stands or work.heard):
                begun, heard = True, work.may_have_heard
        sends = self._sends(recipient) if self._counted else ()
        wrong = self._wrong.get(recipient)
        if not (self._corrected or self._ended or begun or wrong or sends):
            return NOTHING
        return Past(self._corrected, self._ended, newer, newer_end, begun, heard, wrong, sends)

    def _in_the_window(self, ledger: Ledger, batch: DeliveryBatch) -> list[Mapping[str, Work]]:
        """The other notices of which any were begun within the cap's window; none if so few cannot reach the cap."""
        limit = batch.manners.at_most.get(batch.channel)
        if limit is None:
            return []
        this = Told(batch.incident, batch.seq, batch.channel)
        found = [ledger.works(told) for told in ledger.tried_since(batch.channel, self._since) if told != this]
        return found if len(found) >= limit else []

    def _sends(self, recipient: str) -> tuple[datetime, ...]:
        """The ends of incidents do not count. One message counts once, however often it was tried."""
        works = (works.get(recipient) for works in self._counted)
        times = [w.tried for w in works if w and w.tried and not (w.about and w.about.closing)]
        return tuple(self._shown(time) for time in sorted(times) if time > self._since)


def shown_by(batch: DeliveryBatch) -> Shown:
    """What the clock of the batch's incident shows."""
    return batch.clock.shown if batch.clock else lambda at: at


def owed(ledger: Ledger, incident: str, audience: str) -> dict[str, frozenset[Channel]]:
    """Who is to hear the end in this audience because they were told of the incident in it, and on which channels.

    Everyone who was told, or may have been, or may still be (a window under way was admitted before this end was
    known), and has not heard the end since. Whoever moved between audiences hears it in the one in which they were told
    last.
    """
    found: dict[str, frozenset[Channel]] = {}
    for channel in Channel:
        last: dict[str, str] = {}
        for told in ledger.notices(incident, channel):
            for recipient, work in ledger.works(told).items():
                about = work.about
                if about is None or about.kind in ASIDE:
                    continue
                if about.closing and work.may_have_heard:
                    last.pop(recipient, None)
                elif work.may_have_heard or not work.terminal:
                    last[recipient] = about.audience
        for recipient, heard_in in last.items():
            if heard_in == audience:
                found[recipient] = found.get(recipient, frozenset()) | {channel}
    return found


def got(ledger: Ledger, incident: str, seq: int, audience: str) -> dict[str, frozenset[Channel]]:
    """Who got this audience's notice of that journal entry, or may have, or still waits for it; on which channels."""
    found: dict[str, frozenset[Channel]] = {}
    for channel in Channel:
        for recipient, work in ledger.works(Told(incident, seq, channel)).items():
            if (work.may_have_heard or not work.terminal) and work.about and work.about.audience == audience:
                found[recipient] = found.get(recipient, frozenset()) | {channel}
    return found
