"""Where incidents, policies and census of a back-test come from: files and directories, or the running system."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pipeline import policy
from pipeline.audit.places import Place
from pipeline.decide.incident import evolve, notices_of
from pipeline.decide.state import IncidentState
from pipeline.errors import NotFound, PolicyError
from pipeline.policy import Policy
from pipeline.recorded import read
from pipeline.replay.past import Past, pasts_of, recorded_in
from pipeline.settings import REPOSITORY, Settings
from schemas import codec, topics
from schemas.census import AudienceCount, Census, total
from schemas.journal import JournalEntry
from schemas.policy import PolicyPublished
from schemas.rendering import Rendering

SHIPPED = REPOSITORY / "deploy" / "policies"
MIN_PREFIX = 4
"""Hexadecimal digits that name a version: fewer would be a name by chance."""


def pasts_from(paths: Sequence[Path]) -> list[Past]:
    """The incidents in files of recordings. Raises RecordingError."""
    return pasts_of(read(paths))


async def pasts_from_log(place: Place) -> list[Past]:
    """The incidents of the journal as it stands there. Raises BrokerError, AuditError."""
    return pasts_of(recorded_in(await journals(place)))


async def journals(place: Place, incident: str | None = None) -> dict[str, list[JournalEntry]]:
    """The entries of each incident (or of one), in order. Raises BrokerError, AuditError."""
    found: dict[str, dict[int, JournalEntry]] = {}
    async for record in place.records(topics.INCIDENT_JOURNAL, incident):
        entry = codec.decode(record, JournalEntry).data
        found.setdefault(entry.incident, {}).setdefault(entry.seq, entry)  # a second one repeats it after a crash
    return {name: [entry for _, entry in sorted(entries.items())] for name, entries in found.items()}


async def compiled(place: Place) -> dict[str, Policy]:
    """Every published version that still compiles, by hash. Raises BrokerError, AuditError."""
    found: dict[str, Policy] = {}
    for version in await published(place):
        try:
            found[version.hash] = policy.compile(version)
        except PolicyError:
            continue  # published before a rule that it breaks: whoever needs it says that it is not at hand
    return found


def words_of(entries: Iterable[JournalEntry], policies: Mapping[str, Policy]) -> dict[str, Rendering]:
    """Every rendering that the entries of one incident lead to, composed once more, by its hash."""
    found: dict[str, Rendering] = {}
    state: IncidentState | None = None
    for entry in entries:
        before = state or IncidentState(entry.incident)
        if (given := policies.get(entry.policy)) is not None:
            made = [r for notice in notices_of(before, entry, given) for r in notice.renderings]
            found |= {rendering.sha256: rendering for rendering in made}
        state = evolve(before, entry)
    return found


async def census_from_log(settings: Settings) -> dict[str, AudienceCount]:
    """The last census of every partition, in sum. Raises BrokerError."""
    from pipeline.broker import connect  # the broker's client is not imported where it is not needed

    latest: dict[bytes | None, Census] = {}
    async for record in connect.read_all(settings, topics.CENSUS.name):
        latest[record.key] = codec.decode(record, Census).data
    return total(latest.values())


async def published(place: Place) -> list[PolicyPublished]:
    """Every version that was ever published, in order. Raises BrokerError, AuditError."""
    return [codec.decode(record, PolicyPublished).data async for record in place.records(topics.POLICIES)]


def policy_called(name: str, versions: Sequence[PolicyPublished] = ()) -> Policy:
    """The policy in a directory, one that ships, or one of `versions` by the beginning of its hash or by its name.

    Raises NotFound, PolicyError.
    """
    for directory in (Path(name), SHIPPED / name):
        if directory.is_dir():
            return policy.compile(policy.load(directory))
    by_hash = {version.hash: version for version in versions if version.hash.startswith(name)}
    if len(name) >= MIN_PREFIX and len(by_hash) == 1:
        return policy.compile(next(iter(by_hash.values())))
    if len(name) >= MIN_PREFIX and by_hash:
        raise NotFound(f"{len(by_hash)} published versions begin with {name!r}; give more digits")
    for version in reversed(versions):
        if version.name == name:
            return policy.compile(version)
    shipped = ", ".join(sorted(path.name for path in SHIPPED.iterdir() if path.is_dir()))
    raise NotFound(
        f"no policy {name!r}: give a directory of documents, one that ships ({shipped}), or, with --from-log, "
        "the first digits of a published version's hash"
    )
