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
from pipeline.replay.journal import Difference, compared
from pipeline.replay.sources import compiled, journals
from schemas import codec, topics
from schemas.delivery import DeliveryAttempted, Request
from schemas.journal import JournalEntry
from schemas.rendering import Rendering, render_bytes


@dataclass
class Checked:
    """What a replay found: how much it went through, and what came out otherwise.

    `messages`: windows that went out, each with a rendering that the journal leads to.
    """

    incidents: int = 0
    entries: int = 0
    messages: int = 0
    renderings: int = 0
    differences: list[Difference] = field(default_factory=list)


async def check(
    place: Place, incident: str | None = None, went: Callable[[int, int], object] = lambda _done, _of: None
) -> Checked:
    """Decides everything (of one incident) again. `went` is told how many incidents of how many are through.

    Raises BrokerError, AuditError.
    """
    policies, found, words = await compiled(place), Checked(), dict[str, Rendering]()
    recorded = await journals(place, incident)
    for number, entries in enumerate(recorded.values(), start=1):
        words |= _again(entries, policies, found)
        went(number, len(recorded))
    found.incidents = len(recorded)
    unread = {entry.incident for entries in recorded.values() for entry in entries if entry.policy not in policies}
    async for attempt in _attempts(place, incident):
        found.messages += 1
        if attempt.rendering not in words and attempt.incident in recorded.keys() - unread:
            found.differences.append(_unfounded(attempt))
    await _stored(place, words, found)
    return found


def _again(entries: Sequence[JournalEntry], policies: Mapping[str, Policy], found: Checked) -> dict[str, Rendering]:
    state, words = IncidentState(entries[0].incident), dict[str, Rendering]()
    for entry in entries:
        if (policy := policies.get(entry.policy)) is None:
            missing = "this version is not at hand"
            found.differences.append(Difference(entry.incident, entry.seq, "policy", entry.policy, missing))
        else:
            decided = decide(state, entry.input, policy)
            found.differences += compared(state, entry, policy, decided)
            words |= {rendering.sha256: rendering for rendering in decided.renderings}
        state = evolve(state, entry)
        found.entries += 1
    return words


async def _attempts(place: Place, incident: str | None) -> AsyncIterator[DeliveryAttempted]:
    """The windows that went out; what is asked of a subscriber belongs to no incident and has no journal."""
    async for record in place.records(topics.DELIVERY_RECORDS_TOPIC):
        if dict(record.headers).get("ce_type") == DeliveryAttempted.TYPE.encode():
            attempt = codec.decode(record, DeliveryAttempted).data
            if attempt.incident == (incident or attempt.incident) and attempt.kind is not Request.CONFIRMATION:
                yield attempt


def _unfounded(attempt: DeliveryAttempted) -> Difference:
    what = f"what went out by {attempt.channel} in attempt {attempt.attempt_id}"
    return Difference(attempt.incident, attempt.seq, what, attempt.rendering, "no entry leads to these words")


async def _stored(place: Place, words: Mapping[str, Rendering], found: Checked) -> None:
    """Compares what is stored of renderings, where this place has any."""
    try:
        async for record in place.records(topics.RENDERINGS):
            stored = codec.decode(record, Rendering).data
            found.renderings += 1
            said = render_bytes(stored.language, stored.level, stored.content, stored.moments)
            subject = dict(record.headers).get("ce_subject", b"?").decode("utf-8", "replace")
            if sha256(said).hexdigest() != stored.sha256:
                again = sha256(said).hexdigest()
                found.differences.append(Difference(subject, 0, "a stored rendering", stored.sha256, again))
            elif (made := words.get(stored.sha256)) is not None and made != stored:
                texts = stored.model_dump_json(), made.model_dump_json()
                found.differences.append(Difference(subject, 0, "a stored rendering", *texts))
    except NotFound:
        return  # an export holds the log alone
