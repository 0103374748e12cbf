"""JSON as it is taken from outside: UTF-8, no duplicate keys, no NaN, not nested deeply (OWASP ASVS 5.0, 1.5)."""

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

MAX_DEPTH = 32
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
"""In a parsed text whole pairs have become one character."""


class Undecodable(Exception):
    """A record that is no message of ours. `reason` is a stable word, `detail` a sentence for whoever can act.

    The detail may quote what came in, so it is made fit to be written down: half a surrogate pair has no UTF-8, and a
    reason that cannot be stored would stop the worker at this record for good.
    """

    def __init__(self, reason: str, detail: str) -> None:
        detail = detail.encode("utf-8", "backslashreplace").decode()
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


def strict_json(raw: bytes) -> Any:
    """Parses UTF-8 JSON; numbers that are none of JSON's are refused. Raises `Undecodable`.

    Half a surrogate pair (RFC 8259, 8.2) is left out: it is what remains of an emoji that was cut in two, and an
    outage must not stay untold over it.
    """
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Undecodable("bad_utf8", f"not UTF-8 at byte {error.start}") from None
    try:
        parsed = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite)
    except RecursionError:
        raise Undecodable("invalid_json", f"nested deeper than {MAX_DEPTH}") from None
    except ValueError as error:
        raise Undecodable("invalid_json", str(error)) from None
    if _deeper_than(parsed, MAX_DEPTH):
        raise Undecodable("invalid_json", f"nested deeper than {MAX_DEPTH}")
    return _mended(parsed) if _SURROGATE_ESCAPE.search(text) else parsed


def _mended(value: Any) -> Any:
    match value:
        case str():
            return _LONE_SURROGATE.sub("", value)
        case list():
            return [_mended(item) for item in value]
        case dict():
            return {name: _mended(item) for name, item in value.items()}
        case _:
            return value


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    pairs = [(_LONE_SURROGATE.sub("", name), value) for name, value in pairs]
    found = dict(pairs)
    if len(found) != len(pairs):
        [(name, _)] = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"the key {name!r} stands twice")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text} is too large for a number")
    return number


def _deeper_than(value: Any, depth: int) -> bool:
    children: Iterable[Any] = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return depth < 0 or any(_deeper_than(child, depth - 1) for child in children)
