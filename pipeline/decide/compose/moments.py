"""How a moment is written: in the words of a language, by the clock of a time zone.

A language's phrases say how a date, a time and a place are put together; CLDR, by way of Babel, knows the names.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import cache, lru_cache
from zoneinfo import ZoneInfo, available_timezones

from babel import Locale
from babel.core import get_global
from babel.dates import format_date, format_time
from babel.lists import format_list
from babel.units import format_unit

from pipeline.text.sms import is_gsm7, to_gsm7
from schemas.rendering import UTC as UTC_ROW

MAX_ZONES = 60
"""Rows of moments beside UTC's: with more, a notice to readers all over the world would outgrow its record."""

# Neither what HTML escaping would change (one row of words serves both bodies of a mail), nor what CLDR puts between
# figures for the sake of typesetting.
_HARMLESS = str.maketrans({"'": "’", "&": "+", "<": "", ">": "", '"': "", "\u202f": " ", "\u00a0": " ", "\u00ad": ""})
_NIGHT = time(3)
"""Who works past this hour of their readers' clock works through the night, if they work for long at all."""
_LONG = timedelta(hours=4)


class Style(StrEnum):
    """How much of a moment is written.

    FULL: day and year, UTC beside the reader's own clock, the policy's clocks beside UTC. UNTIL: likewise, as an end of
    work that may last through the night. DATED: day and year, nothing beside. SOON: short, the day only where it is
    another than today. CLOCKS: likewise, with the policy's clocks for whom no zone is known.
    """

    FULL = "full"
    UNTIL = "until"
    DATED = "dated"
    SOON = "soon"
    CLOCKS = "clocks"


@dataclass(frozen=True, eq=False)
class Tongue:
    """How one language writes moments, and the clocks beside UTC by place. One object each (`tongue`)."""

    language: str
    patterns: Mapping[str, str]
    clocks: tuple[tuple[str, str], ...]

    def write(self, pattern: str, **parts: str) -> str:
        """The pattern called so, filled in."""
        return self.patterns[pattern] % parts


@lru_cache(maxsize=64)
def tongue(language: str, patterns: tuple[tuple[str, str], ...], clocks: tuple[tuple[str, str], ...]) -> Tongue:
    """The same arguments give the same object, so that what it wrote is found again."""
    return Tongue(language, dict(patterns), clocks)


@lru_cache(maxsize=1 << 15)
def written(speaks: Tongue, moment: datetime, style: Style, zone: str, today: datetime, plain: bool) -> str:
    """The words for `moment` in `zone`, as they are read at `today`.

    `plain`: for a text message, in GSM-7 where the language allows.
    """
    here, now = _local(moment, zone), _local(today, zone)
    city = _city(zone, speaks.language, plain)
    match style:
        case Style.FULL:
            words = _full(speaks, moment, here, zone, city)
        case Style.UNTIL:
            night = zone != UTC_ROW and _through_the_night(now, here)
            words = speaks.write("night" if night else "until", time=_full(speaks, moment, here, zone, city))
        case Style.DATED:
            words = speaks.write("here_day" if city else "utc_day", **_parts(speaks, here, city, "long_day"))
        case Style.SOON | Style.CLOCKS:
            words = _soon(speaks, here, now, city)
            if style is Style.CLOCKS and zone == UTC_ROW and speaks.clocks:
                words = speaks.write("beside", time=words, others=_by_clocks(speaks, moment))
    words = words.translate(_HARMLESS)
    return to_gsm7(words.replace("’", "")) if plain else words


def valid_zones(zones: Iterable[str]) -> tuple[str, ...]:
    """UTC, then those of `zones` that there are, each once, the first `MAX_ZONES` of them."""
    known = dict.fromkeys(zone for zone in zones if zone != UTC_ROW and zone in _zones())
    return (UTC_ROW, *list(known)[:MAX_ZONES])


@lru_cache(maxsize=4096)
def lasted(began: datetime, ended: datetime, language: str) -> str:
    """A span of time in its two largest units."""
    minutes = int((ended - began).total_seconds() // 60)
    days, hours = divmod(minutes // 60, 24)
    amounts = {"day": days, "hour": hours, "minute": minutes % 60} if minutes else {"minute": 0}
    said = [(unit, amount) for unit, amount in amounts.items() if amount or minutes == 0][:2]
    spelled = [format_unit(amount, f"duration-{unit}", locale=language) for unit, amount in said]
    return listed(tuple(spelled), language, "unit").translate(_HARMLESS)


@lru_cache(maxsize=4096)
def listed(items: tuple[str, ...], language: str, style: str = "standard") -> str:
    """`a, b and c` in the words of a language."""
    return format_list(items, style=style, locale=language)  # type: ignore[arg-type]  # its Literal of style names


def _full(speaks: Tongue, moment: datetime, here: datetime, zone: str, city: str | None) -> str:
    parts = _parts(speaks, here, city, "long_day")
    if zone == UTC_ROW:
        words = speaks.write("utc_day", **parts)
        return speaks.write("beside", time=words, others=_by_clocks(speaks, moment)) if speaks.clocks else words
    utc = moment.astimezone(UTC)
    same_day = utc.date() == here.date()
    beside = speaks.write("utc" if same_day else "utc_soon", **_parts(speaks, utc, None, "day"))
    if city is None:
        return speaks.write("beside", time=speaks.write("utc_day", **parts), others=beside)
    return speaks.write("here_beside", **parts, others=beside)


def _soon(speaks: Tongue, here: datetime, now: datetime, city: str | None) -> str:
    pattern = ("here" if city else "utc") + ("" if here.date() == now.date() else "_soon")
    words = speaks.write(pattern, **_parts(speaks, here, city, "day"))
    # The hour that a clock shows twice when summer time ends.
    twice = here.replace(fold=0).utcoffset() != here.replace(fold=1).utcoffset()
    return speaks.write("twice", time=words, offset=_offset(here)) if twice and city else words


def _by_clocks(speaks: Tongue, moment: datetime) -> str:
    """The moment by the policy's clocks; the day only where it is another than in UTC."""
    told = []
    for place, zone in speaks.clocks:
        here = _local(moment, zone)
        pattern = "there" if here.date() == moment.astimezone(UTC).date() else "there_day"
        told.append(speaks.write(pattern, **_parts(speaks, here, place, "day")))
    return ", ".join(told)


def _parts(speaks: Tongue, here: datetime, city: str | None, day: str) -> dict[str, str]:
    return {
        "clock": _time(here.time(), speaks.patterns["clock"], speaks.language),
        "day": _date(here.date(), speaks.patterns[day], speaks.language),
        "city": city or "",
        "utc": f"UTC{_offset(here) if here.utcoffset() else ''}",
    }


def _offset(here: datetime) -> str:
    """`+1`, `-3:30`: as people write it."""
    minutes = int((here.utcoffset() or timedelta()).total_seconds() // 60)
    hours, rest = divmod(abs(minutes), 60)
    return f"{'-' if minutes < 0 else '+'}{hours}{f':{rest:02d}' if rest else ''}"


def _through_the_night(now: datetime, until: datetime) -> bool:
    def nights(moment: datetime) -> int:
        return moment.toordinal() + (moment.time() >= _NIGHT)

    return nights(until) > nights(now) and until.replace(tzinfo=None) - now.replace(tzinfo=None) >= _LONG


def _local(moment: datetime, zone: str) -> datetime:
    try:
        return moment.astimezone(_zone(zone))
    except OverflowError:  # beyond the year 1 or 9999 in that zone
        return moment.astimezone(UTC)


@cache
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())


@cache
def _city(zone: str, language: str, plain: bool) -> str | None:
    """The city that people name a time zone by, in their language; None: the zone has none (UTC, `Etc/GMT+5`)."""
    zone = get_global("zone_aliases").get(zone, zone)
    area, _, place = zone.rpartition("/")
    if not area or area == "Etc":
        return None
    place = place.replace("_", " ")
    city: str = Locale.parse(language).time_zones.get(zone, {}).get("city", place).replace("\u00ad", "")
    return place if plain and not is_gsm7(city.replace("’", "")) else city


@lru_cache(maxsize=4096)
def _date(day: date, pattern: str, language: str) -> str:
    return format_date(day, pattern, locale=language)


@lru_cache(maxsize=4096)
def _time(clock: time, pattern: str, language: str) -> str:
    return format_time(clock, pattern, locale=language)
