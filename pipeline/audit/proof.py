"""A proof of what one person was told: entries with their paths to a signed root, and the very words. Pure.

It shows of a record of many what it says of that one person (`people`), and the words with the moments of their row.
Whoever gets it checks it with nothing of ours: `deploy/check_proof.py`, or by hand.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.audit.people import commitment_of, part_of
from pipeline.audit.reading import Gathered, Kept
from pipeline.audit.told import Message
from pipeline.audit.tree import Levels, leaf_hash
from pipeline.audit.vouching import Distrusted, size_said
from pipeline.audit.words import exact, said_in
from pipeline.errors import AuditError
from schemas.rendering import Rendering
from schemas.subscriber import ChoicesChanged, Confirmed, Subscribed

FORMAT = "tocsin/proof/v1"
ADDRESSES = {Subscribed.TYPE, ChoicesChanged.TYPE, Confirmed.TYPE}
HOW = (
    "The checkpoint is a C2SP signed note: the Ed25519 signature over its text must be of a key in log.pub, which you "
    "have from elsewhere than this file. Its lines are the log's name, how many entries it has, and in base64 the root "
    "over them. A key counts for logs of more entries than log.pub says after it, and of no more than it says after "
    "the next one.",
    "An entry's leaf is SHA-256 over a zero byte and the entry's exact bytes; the hashes of `path` must lead from it "
    "to the root, as RFC 6962 says.",
    "Where an entry speaks of many people it holds a root over them, and `part` leads to that in the same way: it is "
    "what the entry says of this one person. Nothing is shown of the others, and each leaf has a salt of its own, so "
    "that none can be guessed.",
    "The words must have the SHA-256 that the entry names. A moment {{t0}} in them is the first of the row of the "
    "reader's time zone, {{t1}} the second.",
    "Addresses stand in the log as keyed hashes (HMAC-SHA256 under a key of the sender's): who holds the key can show "
    "that an address belongs to this person, and nobody else can find out which it is.",
    "`python check_proof.py PROOF.json log.pub` does all of this, and needs nothing of Tocsin.",
)


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom the proof is about, and of which incident; `at` is the moment up to which it speaks."""

    incident: str
    subscriber: str
    at: str


def proof_of(
    subject: Subject, gathered: Gathered, messages: Sequence[Message], words: Mapping[str, Rendering]
) -> dict[str, Any]:
    """The proof as it stands in its file. Raises AuditError: nothing is proved from a log that is not sound."""
    if not gathered.result.ok:
        raise AuditError("the log does not verify, so nothing can be proved from it: see `tocsin audit verify`")
    if gathered.vouchers.checkpoint is None:
        raise AuditError("no checkpoint vouches for the log: nothing can be proved without one")
    shown = _Shown(gathered, subject.subscriber)
    told = []
    for message in messages:
        if message.rendering not in words:
            raise AuditError(f"the words {message.rendering} are not at hand: ask the broker, or an archive")
        told.append(
            {
                "seq": message.seq,
                "channel": message.channel.value,
                "kind": message.kind,
                "at": shown.said(message.ended, "at"),
                "result": message.result,
                "provider_id": message.provider_id,
                "intended": shown.entry(message.intended),
                "ended": shown.entry(message.ended),
                "receipts": [shown.entry(receipt) for receipt in message.receipts],
                "rendering": message.rendering,
                "zone": message.zone,
                "says": said_in(words[message.rendering], message.zone),
            }
        )
    addresses = [shown.entry(kept.entry.index) for kept in _addresses(gathered.kept, messages)]
    return {
        "format": FORMAT,
        "incident": subject.incident,
        "subscriber": subject.subscriber,
        "until": subject.at,
        "checkpoint": gathered.vouchers.checkpoint.decode(),
        "log_pub": (gathered.vouchers.key or "").splitlines(),
        "entries": shown.entries,
        "messages": told,
        "addresses": addresses,
        "renderings": {one.rendering: exact(words[one.rendering]).decode() for one in messages},
        "how_to_check": HOW,
    }


class _Shown:
    """The entries of a proof, each once."""

    def __init__(self, gathered: Gathered, subscriber: str) -> None:
        try:
            size = size_said(gathered.vouchers.checkpoint or b"")
        except Distrusted as error:
            raise AuditError(f"the checkpoint vouches for nothing: {error}") from None
        self._leaves = gathered.leaves[:size]
        self._tree = Levels(self._leaves)
        self._kept = {kept.entry.index: kept for kept in gathered.kept}
        self._subscriber = subscriber
        self.entries: list[dict[str, Any]] = []
        self._places: dict[int, int] = {}

    def entry(self, index: int | None) -> int:
        """Its place among the entries of the proof."""
        kept = self._kept[index if index is not None else -1]
        if kept.entry.index not in self._places:
            self._places[kept.entry.index] = len(self.entries)
            self.entries.append(self._one(kept))
        return self._places[kept.entry.index]

    def said(self, index: int | None, name: str) -> Any:
        """What an entry says, as it stands there."""
        return (self._kept[index if index is not None else -1].entry.body or {})[name]

    def _one(self, kept: Kept) -> dict[str, Any]:
        entry, part = kept.entry, None
        if entry.seed is not None:
            part = part_of(entry, self._subscriber)
            said = self._kept.get(entry.index + 1)
            if said is None or said.entry.body != commitment_of(entry).model_dump(mode="json"):
                raise AuditError(f"entry {entry.index} speaks of many, and what follows it does not commit to them")
            kept = said
        index = kept.entry.index
        if index >= len(self._leaves):
            raise AuditError(f"entry {index} is newer than the last checkpoint: try again in a second")
        if leaf_hash(kept.value) != self._leaves[index]:
            raise AuditError(f"entry {index} is not what its leaf says")
        shown: dict[str, Any] = {
            "index": index,
            "entry": kept.value.decode(),
            "path": [one.hex() for one in self._tree.inclusion_proof(index)],
        }
        if part is not None:
            shown["part"] = {
                "leaf": part.leaf,
                "position": part.position,
                "people": part.people,
                "path": [one.hex() for one in part.path],
            }
        return shown


def _addresses(kept: Iterable[Kept], messages: Sequence[Message]) -> list[Kept]:
    """The entries that say, as keyed hashes, where this person was reached when the messages went out."""
    last = max((message.intended for message in messages), default=-1)
    return [
        one
        for one in kept
        if one.entry.record_type in ADDRESSES
        and one.entry.index < last
        and (one.entry.body or {}).get("address_tokens")
    ][-1:]
