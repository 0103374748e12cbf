"""The rules of `admit`: what one recipient chose, what the policy keeps from them, what the past has made old.

A rule that names a reason says that the message is not told; one that names a moment, that it is told then. Each stands
alone and is pure. Moments are by the incident's clock; hours of the day by the recipient's.
"""

from datetime import datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from pipeline.deliver.groups import membership
from pipeline.deliver.past import Past
from pipeline.deliver.people import Someone
from pipeline.hours.documents import OfficeHours, QuietHours
from pipeline.hours.local import at_local_time, zone_named
from pipeline.hours.office import is_open, next_opening
from pipeline.hours.quiet import quiet_until
from pipeline.links import CONFIRM_WITHIN
from schemas.base import Lane
from schemas.delivery import DeliveryBatch, Request
from schemas.delivery import Kind as AnyKind
from schemas.journal import NoticeKind as Kind
from schemas.notice import LocalHours
from schemas.rendering import UTC
from schemas.subscriber import Frequency

STARTS_AND_ENDS: frozenset[AnyKind] = frozenset(
    {
        Kind.OPENED,
        Kind.REOPENED,
        Kind.RESOLVED,
        Kind.MAINTENANCE_SCHEDULED,
        Kind.MAINTENANCE_STARTED,
        Kind.MAINTENANCE_COMPLETED,
        Kind.CORRECTION,
        Kind.RETRACTION,
    }
)
"""What they hear who chose start and end. A plan is the start of a maintenance; a wrong text must be put right."""

STAYS_TRUE: frozenset[AnyKind] = frozenset({Kind.CORRECTION, Kind.RETRACTION, Kind.REVIEW})
"""Never superseded: what is newer says how it stands now, these say what was wrong, and why it happened."""


CONFIRMATION_LIFTS = frozenset({"unsubscribed", "bounced"})
"""Who left and subscribes anew is asked; who complained, or said STOP to the provider, is not even asked."""


class Case(NamedTuple):
    """One message to one recipient, to be judged. `at` is by the incident's clock."""

    subscriber: Someone
    batch: DeliveryBatch
    past: Past
    at: datetime

    @property
    def zone(self) -> ZoneInfo:
        """The recipient's time zone; UTC if theirs is none that is known here."""
        return _zone(self.subscriber.choices.time_zone)


# --- not at all


def opted_out(case: Case) -> str | None:
    """Erased, or out of this channel: they said so, or their address or provider did."""
    if case.subscriber.erased:
        return "erased"
    if case.subscriber.merged_into is not None:
        return "told_as_another_subscriber"
    opt_out = case.subscriber.opted_out.get(case.batch.channel)
    if opt_out is None or (case.batch.kind is Request.CONFIRMATION and opt_out.reason in CONFIRMATION_LIFTS):
        return None
    return opt_out.reason


def asked_long_ago(case: Case) -> str | None:
    """A request that could not be sent within the days in which it may be answered: whoever waits for it asks again."""
    asks = case.batch.kind is Request.CONFIRMATION
    return "asked_long_ago" if asks and case.at - case.batch.at > CONFIRM_WITHIN else None


def unconfirmed(case: Case) -> str | None:
    """Nobody has shown yet that the address is theirs. They are asked once, and told nothing until they answer."""
    waits = case.batch.channel in case.subscriber.unconfirmed
    if case.batch.kind is Request.CONFIRMATION:
        return None if waits else "nothing_to_confirm"
    return "unconfirmed" if waits else None


def unreachable(case: Case) -> str | None:
    """Nobody knows an address of theirs."""
    return None if case.subscriber.reachable else "no_contact"


def never_told(case: Case) -> str | None:
    """The policy keeps incidents like this one from people like them, whatever else they belong to."""
    for group in case.batch.never:
        if membership(group).has(case.subscriber):
            return "never_told"
    return None


def retracted(case: Case) -> str | None:
    """It was corrected or taken back before it could be sent."""
    return "retracted_before_it_was_sent" if case.past.corrected else None


def nothing_to_take_back(case: Case) -> str | None:
    """What is taken back never reached them: to say so would only tell them of it. (A correction is told all the same:
    it holds the right text, and the wrong one, which still waited, was suppressed.)
    """
    wrong = case.past.wrong
    if case.batch.kind is Kind.RETRACTION and wrong is not None and not wrong.may_have_heard:
        return "nothing_to_take_back"
    return None


def superseded_by_the_end(case: Case) -> str | None:
    """The end is told to their audience already, or is on its way: how it stood before is old."""
    old = case.past.ended or case.past.newer_end
    return "superseded_by_the_end" if old and case.batch.kind not in STAYS_TRUE else None


def superseded_by_newer(case: Case) -> str | None:
    """It had to wait, and meanwhile they were told, or are to be, how the incident stood later."""
    old = case.past.newer and case.batch.attempt > 1
    return "superseded_by_newer" if old and case.batch.kind not in STAYS_TRUE else None


def start_and_end_only(case: Case) -> str | None:
    """They chose to hear of start and end. The first that they hear of it is its start, whatever its kind is."""
    if case.subscriber.choices.frequency is not Frequency.START_AND_END or case.batch.closing:
        return None
    if case.batch.kind in STARTS_AND_ENDS or not case.past.begun:
        return None
    return "chose_start_and_end"


# --- later


def quiet_hours(case: Case) -> datetime | None:
    """The policy's quiet hours of the channel, by the recipient's clock. Urgent ones wake people."""
    hours = case.batch.manners.quiet_hours.get(case.batch.channel)
    if hours is None or case.batch.urgent or (quiet := _quiet(hours)) is None:
        return None
    return _quiet_until(quiet, case.zone, case.at)


def office_hours(case: Case) -> datetime | None:
    """They want what is not urgent while their office is open: on working days, not on public holidays."""
    if not case.subscriber.choices.office_hours_only or case.batch.urgent:
        return None
    country = case.subscriber.profile.country or case.batch.manners.country
    office = _office(case.batch.manners.office_hours, country)
    return _opens(office, case.zone, case.at) if office is not None else None


def digest(case: Case) -> datetime | None:
    """They want one moment a day: the first digest hour after the notice was decided.

    What cannot wait for it: what is urgent; the end of, or a correction to, what they were told of already, since
    whoever was told that something is wrong waits for the word that it is over; a reminder, for tomorrow it reminds of
    nothing. Everything else waits, and the newest word on each incident has made the earlier ones old by then.
    """
    batch = case.batch
    if case.subscriber.choices.frequency is not Frequency.DIGEST or batch.urgent or batch.kind is Kind.REMINDER:
        return None
    if batch.corrects is not None or (batch.closing and case.past.heard):
        return None
    return at_local_time(batch.manners.digest_at, case.zone, batch.at)


def flood_cap(case: Case) -> datetime | None:
    """No more than so many messages within the window, over all incidents. The ends of incidents, urgent first notices
    and corrections pass: to miss one of them is worse than one message too many.
    """
    batch, sends = case.batch, case.past.sends
    limit = batch.manners.at_most.get(batch.channel)
    if limit is None or len(sends) < limit:
        return None
    if batch.closing or batch.corrects is not None or (batch.urgent and batch.lane is Lane.FIRST):
        return None
    window = timedelta(seconds=batch.manners.cap_window_s)
    within = [send for send in sends if send > case.at - window]
    return within[-limit] + window if len(within) >= limit else None


# --- the clocks


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo:
    try:
        return zone_named(name)
    except ValueError:
        return zone_named(UTC)


@lru_cache(maxsize=64)
def _quiet(hours: LocalHours) -> QuietHours | None:
    if hours.from_ == hours.until:
        return None
    return QuietHours.model_validate({"from": hours.from_, "until": hours.until})


@lru_cache(maxsize=1024)
def _office(hours: LocalHours, country: str | None) -> OfficeHours | None:
    """The office of a country; without public holidays where none are known; None where the hours are no office's."""
    given = {"opens": hours.from_, "closes": hours.until, "working days": "Mon to Fri"}
    for place in (country, None):
        try:
            return OfficeHours.model_validate({**given, "country": place})
        except ValidationError:
            continue
    return None


# One moment is asked of hundreds of recipients in a few zones; a moment that has passed is not asked of again.
@lru_cache(maxsize=1024)
def _quiet_until(quiet: QuietHours, zone: ZoneInfo, at: datetime) -> datetime | None:
    return quiet_until(quiet, zone, at)


@lru_cache(maxsize=1024)
def _opens(office: OfficeHours, zone: ZoneInfo, at: datetime) -> datetime | None:
    return None if is_open(office, zone, at) else next_opening(office, zone, at)
