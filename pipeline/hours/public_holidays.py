"""Public holidays by country and subdivision, from the `holidays` package, which is imported when first asked."""

from collections.abc import Mapping
from datetime import date
from functools import cache, lru_cache
from types import MappingProxyType


@lru_cache(maxsize=4096)  # some hundred places, some years each; a year is about ten dates
def in_year(country: str, subdivision: str | None, year: int) -> Mapping[date, str]:
    """The public holidays of that year with their names, in English where the package has them so.

    Half holidays and those of banks, schools or offices alone are none. The package knows its countries up to about
    2100; a year beyond what it knows has no holidays.
    """
    import holidays  # 60 ms: more than all of `tocsin --help`

    found = holidays.country_holidays(country, subdiv=subdivision, years=year, expand=False, language="en_US")
    return MappingProxyType(dict(found))


@cache
def subdivisions() -> Mapping[str, tuple[str, ...]]:
    """Every country that is known (ISO 3166-1 alpha-2) with the subdivisions that have holidays of their own."""
    import holidays

    known = holidays.list_supported_countries(include_aliases=False)
    return MappingProxyType({country: tuple(parts) for country, parts in known.items()})
