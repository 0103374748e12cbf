"""The whole log once more: every input decided again, every word composed again, and each difference named.

What was decided must come out byte for byte; what a message went out with must be among the words that the journal
leads to, and what is stored of renderings must be the bytes that their names say.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from pipeline.audit.places import Place
from pipeline.decide.incident import decide, evolve
from pipeline.decide.state import IncidentState
from pipeline.errors import NotFound
from pipeline.policy import Policy
from pipeline.replay.journal import Difference
from pipeline.replay.sources import compiled, journals
from schemas import codec, topics
from schemas.delivery import DeliveryAttempted, Request
from schemas.journal import JournalEntry
from schemas.rendering import Rendering, render_bytes


@dataclass
class Checked:
    """What a replay found: how much it went through, and what came out otherwise.

    `messages`: windows that went out, each with a rendering that the journal leads to. `sha256`: over every entry as it
    was decided again, incident by incident in the order of their names. An entry names the hashes of its renderings, so
    that two replays with the same `sha256` came to the same decisions and the same words.
    """

    incidents: int = 0
    entries: int = 0
    messages: int = 0
    renderings: int = 0
    sha256: str = sha256(b"").hexdigest()
    differences: list[Difference] = field(default_factory=list)


async def check(
    place: Place,
    incident: str | None = None,
    went: Callable[[str, int, int | None], object] = lambda _what, _done, _of: None,
) -> Checked:
    """Decides everything (of one incident) again. `went` is told with what it is busy, and how much of it is done.

    Raises BrokerError, AuditError.
    """
    went("reading what was decided", 0, None)
    policies, found, words, said = await compiled(place), Checked(), set[str](), sha256()
    recorded = await journals(place, incident)
    for number, (_, entries) in enumerate(sorted(recorded.items()), start=1):
        made, again = _again(entries, policies, found)
        words |= made
        said.update(again)
        went("deciding again", number, len(recorded))
    found.incidents, found.sha256 = len(recorded), said.hexdigest()
    unread = {entry.incident for entries in recorded.values() for entry in entries if entry.policy not in policies}
    known = recorded.keys() - unread
    went("comparing what went out", 0, None)
    async for attempt in _attempts(place, incident):
        found.messages += 1
        if attempt.rendering not in words and attempt.incident in known:
            found.differences.append(_unfounded(attempt))
    await _stored(place, found)
    return found


def _again(entries: Sequence[JournalEntry], policies: Mapping[str, Policy], found: Checked) -> tuple[set[str], bytes]:
    """One incident again: the names of the words it leads to, and a hash over the entries as they come out now."""
    state, words, said = IncidentState(entries[0].incident), set[str](), sha256()
    for entry in entries:
        if (policy := policies.get(entry.policy)) is None:
            missing = "this version is not at hand"
            found.differences.append(Difference(entry.incident, entry.seq, "policy", entry.policy, missing))
        else:
            decided = decide(state, entry.input, policy)
            recorded, anew = entry.model_dump_json(), decided.entry.model_dump_json()
            if recorded != anew:
                found.differences.append(Difference(entry.incident, entry.seq, "entry", recorded, anew))
            said.update(anew.encode())
            words |= {rendering.sha256 for rendering in decided.renderings}
        state = evolve(state, entry)
        found.entries += 1
    return words, said.digest()


async def _attempts(place: Place, incident: str | None) -> AsyncIterator[DeliveryAttempted]:
    """The windows that went out; what is asked of a subscriber belongs to no incident and has no journal."""
    async for record in place.records(topics.DELIVERY_RECORDS_TOPIC, kind=DeliveryAttempted.TYPE):
        attempt = codec.decode(record, DeliveryAttempted).data
        if attempt.incident == (incident or attempt.incident) and attempt.kind is not Request.CONFIRMATION:
            yield attempt


def _unfounded(attempt: DeliveryAttempted) -> Difference:
    what = f"what went out by {attempt.channel} in attempt {attempt.attempt_id}"
    return Difference(attempt.incident, attempt.seq, what, attempt.rendering, "no entry leads to these words")


async def _stored(place: Place, found: Checked) -> None:
    """Looks whether what is stored of renderings, where this place has any, is what its name says.

    A name is the hash of all that a rendering says: who has the same name has the same words.
    """
    try:
        async for record in place.records(topics.RENDERINGS):
            stored = codec.decode(record, Rendering).data
            found.renderings += 1
            said = sha256(render_bytes(stored.language, stored.level, stored.content, stored.moments)).hexdigest()
            if said != stored.sha256:
                subject = dict(record.headers).get("ce_subject", b"?").decode("utf-8", "replace")
                found.differences.append(Difference(subject, 0, "a stored rendering", stored.sha256, said))
    except NotFound:
        return  # an export holds the log alone
