"""How office hours and quiet hours stand in a policy document. Errors say what to write instead.

YAML is the pitfall here. It reads 17:00 as the number 1020, NO (Norway) and ON (Ontario) as false and true, and a
model that took numbers for times would make 00:17 of the first. So numbers are refused, with the spelling that works.
"""

import re
from datetime import date, datetime, time
from enum import IntEnum
from typing import Annotated

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    ValidationInfo,
    field_validator,
)

from pipeline.hours import public_holidays


class Weekday(IntEnum):
    """As `datetime.date.weekday` counts."""

    MON = 0
    TUE = 1
    WED = 2
    THU = 3
    FRI = 4
    SAT = 5
    SUN = 6


_FULL_NAMES = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_NAMES = {name: day for day, full in zip(Weekday, _FULL_NAMES, strict=True) for name in (full, full[:3])}
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?")
_WORKING_DAYS = "write days like 'Mon to Fri', or a list like [Mon, Tue, Thu]"


def _clock(value: object) -> time:
    if isinstance(value, time) and value.tzinfo is None:
        return value
    if isinstance(value, str) and (found := _CLOCK.fullmatch(value)):
        hour, minute, second = found.groups(default="0")
        return time(int(hour), int(minute), int(second))
    if isinstance(value, int) and 60 <= value < 24 * 60:
        meant = f"{value // 60:02}:{value % 60:02}"
        raise ValueError(f'{value} is no time of day; if {meant} is meant, quote it: "{meant}"')
    raise ValueError(f'{value!r} is no time of day; write one from "00:00" to "23:59", in quotes')


def _weekday(value: object) -> Weekday:
    if isinstance(value, Weekday):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and value in range(7):
        return Weekday(value)  # as it is dumped to JSON
    day = _NAMES.get(value.strip().lower()) if isinstance(value, str) else None
    if day is None:
        raise ValueError(f"{value!r} is no weekday; {_WORKING_DAYS}")
    return day


def _weekdays(value: object) -> frozenset[Weekday]:
    if isinstance(value, str):
        first, to, last = value.partition(" to ")
        start, end = _weekday(first), _weekday(last if to else first)
        return frozenset(Weekday((start + step) % 7) for step in range((end - start) % 7 + 1))
    if not isinstance(value, list | tuple | set | frozenset) or not value:
        raise ValueError(_WORKING_DAYS)
    return frozenset(_weekday(day) for day in value)


def _date(value: object) -> date:
    """No numbers: pydantic would read 20261224 as seconds since 1970."""
    if isinstance(value, str):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    elif isinstance(value, date) and not isinstance(value, datetime):
        return value
    raise ValueError(f"{value!r} is no date; write one like 2026-12-24")


def _code(value: object) -> object:
    if isinstance(value, bool):
        meant = "ON" if value else "NO"
        raise ValueError(f'YAML reads this as {str(value).lower()}; if {meant} is meant, quote it: "{meant}"')
    if isinstance(value, int):
        raise ValueError(f'codes are text; quote it: "{value}"')
    return value


Clock = Annotated[time, BeforeValidator(_clock)]
"""A time of day on a local clock, without a zone: "09:00"."""
Weekdays = Annotated[frozenset[Weekday], BeforeValidator(_weekdays), PlainSerializer(sorted, when_used="json")]
Dates = Annotated[frozenset[Annotated[date, BeforeValidator(_date)]], PlainSerializer(sorted, when_used="json")]
Code = Annotated[str, BeforeValidator(_code)]


class _Document(BaseModel):
    """As `Document` of the policy documents, which may import this module but not be imported by it."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class OfficeHours(_Document):
    """When people are at their desks: from `opens`, until just before `closes`, in whichever zone they are."""

    opens: Clock
    closes: Clock
    working_days: Weekdays = Field(alias="working days")
    country: Code | None = Field(default=None, description="ISO 3166-1 alpha-2; unset: no public holidays")
    subdivision: Code | None = Field(default=None, description="ISO 3166-2 without the country, where it matters")
    closed_on: Dates = Field(alias="closed on", default=frozenset())

    @field_validator("closes")
    @classmethod
    def _after_opening(cls, closes: time, others: ValidationInfo) -> time:
        opens = others.data.get("opens")
        if opens is not None and closes <= opens:
            raise ValueError(
                f"closes at {closes:%H:%M}, which is not after it opens ({opens:%H:%M}); an office must close before "
                'midnight: write a later time, at most "23:59"'
            )
        return closes

    @field_validator("country")
    @classmethod
    def _known(cls, country: str | None) -> str | None:
        if country is not None and country not in public_holidays.subdivisions():
            raise ValueError(
                f"{country!r} is no country whose public holidays are known; write an ISO 3166-1 code such as DE, or "
                "leave it out and list the days under 'closed on'"
            )
        return country

    @field_validator("subdivision")
    @classmethod
    def _part_of_the_country(cls, subdivision: str | None, others: ValidationInfo) -> str | None:
        if subdivision is None or "country" not in others.data:  # a country that is wrong has its own error
            return subdivision
        country = others.data["country"]
        if country is None:
            raise ValueError("a subdivision needs its country; write 'country' beside it")
        parts = public_holidays.subdivisions()[country]
        if subdivision not in parts:
            use = f"use one of {', '.join(parts)}" if parts else "leave it out, the whole country has the same holidays"
            raise ValueError(f"{subdivision!r} is no subdivision of {country} with holidays of its own; {use}")
        return subdivision


class QuietHours(_Document):
    """When nobody wants to be woken: from `starts` (`from`), until just before `ends` (`until`), past midnight too."""

    starts: Clock = Field(alias="from")
    ends: Clock = Field(alias="until")

    @field_validator("ends")
    @classmethod
    def _last_a_while(cls, ends: time, others: ValidationInfo) -> time:
        if ends == others.data.get("starts"):
            raise ValueError("'from' and 'until' are the same time; write two, or leave the quiet hours out")
        return ends
