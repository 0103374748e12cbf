"""Whether an entry that speaks of many is followed by its commitment to each of them. The verifier's own reckoning."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import orjson

from pipeline.audit.findings import Finding, Kind

COMMITTED = "io.tocsin.audit.recipients_committed.v1"


class Commitments:
    """Takes sound entries one after another; `findings` says which are not committed to as they should be."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self._owing: Mapping[str, Any] | None = None

    def take(self, entry: Mapping[str, Any]) -> None:
        """The next entry, as JSON."""
        owing, self._owing = self._owing, entry if entry.get("seed") is not None else None
        said = (entry.get("body") or {}) if entry["record_type"] == COMMITTED else None
        if owing is None and said is None:
            return
        expected = "no commitment, since the entry before it speaks of one" if owing is None else _root(owing)
        found = "none" if said is None else f"{said.get('root')} of {said.get('people')} for entry {said.get('of')}"
        if expected != found:
            self.findings.append(Finding(Kind.COMMITMENT, entry["index"], expected, found))


def _root(entry: Mapping[str, Any]) -> str:
    """What the commitment to this entry's people has to say."""
    try:
        return _reckoned(entry)
    except (ValueError, TypeError):
        return "an entry whose seed and people can be read before it"


def _reckoned(entry: Mapping[str, Any]) -> str:
    body, seed = entry.get("body") or {}, bytes.fromhex(entry["seed"])
    named = body.get("outcomes") or body.get("recipients") or ()
    level = []
    for number, one in enumerate(named):
        salt = sha256(seed + number.to_bytes(8)).hexdigest()[:32]
        leaf = {"salt": salt, **(one if isinstance(one, dict) else {"recipient": one})}
        level.append(sha256(b"\0" + orjson.dumps(leaf)).digest())
    people = len(level)
    while len(level) > 1:
        pairs = [sha256(b"\1" + level[at] + level[at + 1]).digest() for at in range(0, len(level) - 1, 2)]
        level = [*pairs, *level[len(level) // 2 * 2 :]]
    return f"{level[0].hex() if level else None} of {people} for entry {entry['index']}"
