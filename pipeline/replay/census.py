"""Whom a back-test would reach: a census given, or a small example that is the same for every policy."""

import json
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from pipeline.errors import ConfigurationError
from pipeline.policy import Policy
from schemas.base import Channel, Level
from schemas.census import AudienceCount

CUSTOMERS = 1000
_ZONES = {"America/New_York": 0.4, "Europe/Berlin": 0.4, "Asia/Tokyo": 0.2}
_SIZES = {Level.CUSTOMER: CUSTOMERS, Level.EXECUTIVE: 20, Level.TECHNICAL: 100, Level.INTERNAL: 10}
_BY_SMS = 0.2
_CENSUS: TypeAdapter[dict[str, AudienceCount]] = TypeAdapter(dict[str, AudienceCount])

EXAMPLE = (
    f"an example: {CUSTOMERS} in an audience of customers, 100 technical readers, 20 executives, 10 responders, "
    "one account on X; everyone by mail, a fifth by SMS too; 40% in New York, 40% in Berlin, 20% in Tokyo; "
    "all read the policy's own language"
)


def example(policy: Policy) -> dict[str, AudienceCount]:
    """The example for the audiences of `policy`; who reads on X is one account, whatever the audience."""
    return {name: _count(group.level, set(group.channels), policy) for name, group in policy.audiences.items()}


def read_census(path: Path) -> dict[str, AudienceCount]:
    """A census from a file: a JSON object of counts by audience, or a census as the topic holds it.

    Raises ConfigurationError.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(found, dict) and isinstance(found.get("audiences"), dict) and "total" not in found["audiences"]:
            found = found["audiences"]
        return _CENSUS.validate_python(found)
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}") from None
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"])) or "the whole"
        raise ConfigurationError(f"{path}: no census: {where}: {error.errors()[0]['msg']}") from None
    except ValueError as error:
        raise ConfigurationError(f"{path}: no JSON: {error}") from None


def _count(level: Level, channels: set[Channel], policy: Policy) -> AudienceCount:
    if channels == {Channel.X}:
        return AudienceCount(
            total=1, channels={Channel.X: 1}, zones={"UTC": 1}, languages={policy.languages.default: 1}
        )
    total = _SIZES.get(level, CUSTOMERS)
    counts = {Channel.EMAIL: total, Channel.SMS: round(total * _BY_SMS), Channel.X: 1}
    return AudienceCount(
        total=total,
        channels={channel: count for channel, count in counts.items() if channel in channels},
        zones={zone: round(share * total) for zone, share in _ZONES.items()},
        languages={policy.languages.default: total},
    )
