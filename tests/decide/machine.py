"""The world of the machine over decide: its incidents, its clock, its people, and the books of every incident."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pipeline import authority
from pipeline.decide.incident import decide, drafts_of, evolve, fold, moment, notices_of
from pipeline.decide.state import IncidentState, Phase
from pipeline.decide.surroundings import Neighbourhood
from pipeline.policy import Policy
from pipeline.replay.journal import replay
from schemas.base import Level, Message
from schemas.census import AudienceCount, Census
from schemas.command import Wake, WakeReason
from schemas.ids import derived
from schemas.incident import IncidentResolved
from schemas.journal import (
    AudienceHeld,
    AudiencePutOff,
    AudienceSilent,
    CommandRefused,
    DraftVoided,
    InputIgnored,
    JournaledInput,
    JournalEntry,
    NoticeDecided,
    NoticeHeld,
    ResolutionConfirmed,
    ResolutionHeld,
    ResolutionUndone,
    VirtualClock,
    WakeScheduled,
)
from schemas.operator import Signature
from tests.decide.machine_books import Books, Entry
from tests.decide.machine_policies import policies
from tests.decide.machine_saying import Marks

STARTS = (
    datetime(2026, 3, 3, 22, 0, tzinfo=UTC),  # a Tuesday night
    datetime(2026, 3, 6, 15, 20, tzinfo=UTC),  # New York changes its clocks two days later
    datetime(2026, 3, 28, 20, 0, tzinfo=UTC),  # Berlin does the same night
    datetime(2026, 12, 24, 16, 5, tzinfo=UTC),
)
REAL = datetime(2026, 6, 1, tzinfo=UTC)
"""The broker's time while incidents are played."""
A_DAY_S = 86_400
CALLS_A_DAY = 400
"""A critical incident is told every twenty minutes, somebody is asked before each, and offices open and close."""
CALLS_AT_ONCE = 6
RECORDED = (
    AudienceHeld,
    AudiencePutOff,
    AudienceSilent,
    CommandRefused,
    DraftVoided,
    InputIgnored,
    ResolutionConfirmed,
    ResolutionHeld,
    ResolutionUndone,
)
INCIDENTS = ("cards-1", "login-2")


@dataclass(frozen=True)
class Person:
    """An operator. The key is made of the name: the same example is the same bytes."""

    name: str
    roles: tuple[str, ...]

    @property
    def key(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.name.ljust(32, ".").encode())

    def signs(self, one: JournaledInput, incident: str, key: Ed25519PrivateKey | None = None) -> Signature:
        """Their signature; with the key of somebody else it is none."""
        text = authority.sign(key or self.key, incident, one.id, one.source, one.type, one.data)
        public = authority.base64url(self.key.public_key().public_bytes_raw())
        return Signature(operator=self.name, public_key=public, roles=self.roles, signature=text)


PEOPLE = (
    Person("ann", ("communications",)),
    Person("ben", ("communications", "legal")),
    Person("ida", ("incident-manager",)),
    Person("lea", ("legal",)),
    Person("max", ("incident-manager", "communications", "legal")),
    Person("eve", ("intern",)),
)


@dataclass
class Line:
    """One incident, with the books that are kept of it and the calls that its clock owes."""

    incident: str
    books: Books
    state: IncidentState = field(init=False)
    entries: list[Entry] = field(default_factory=list)
    calls: dict[datetime, WakeReason] = field(default_factory=dict)
    at_once: int = 0

    def __post_init__(self) -> None:
        self.state = IncidentState(self.incident)

    def __str__(self) -> str:
        return "\n".join(map(in_short, self.entries))


def in_short(entry: Entry) -> str:
    """An entry in one line: who was told what, what waits, what is on record besides."""
    said = [
        f"{d.audience}:{d.kind}{'!' if d.decision == 'notice_held' else ''}{'(safe)' if d.safe else ''}"
        for d in entry.all(NoticeDecided, NoticeHeld)
    ]
    others = [str(d.model_dump(mode="json", exclude_none=True)) for d in entry.all(*RECORDED)]
    made, kind = entry.decided.entry, entry.given.type.removeprefix("io.tocsin.").removesuffix(".v1")
    given = f"{made.incident}/{made.seq} {made.at:%d %H:%M:%S} {entry.policy.name} {kind} {entry.given.data}"
    return f"{given} -> {' '.join(said)} {' '.join(others)}"


class World:
    """Everything that there is in one example. Time goes by only where it is told to."""

    def __init__(self, start: datetime, played: bool = False) -> None:
        self.now = start
        self.played = played
        self.marks = Marks()
        self.lines = {name: Line(name, Books(self.marks)) for name in INCIDENTS}
        self.policy = policies()[0]
        self.around = Neighbourhood()
        self.census: dict[str, AudienceCount] = {}
        self.journal: list[JournalEntry] = []
        self.number = 0
        self.sleeps = False

    # --- inputs

    def say(self, line: Line, data: Message, by: Person | None = None, before_s: int = 0, bad: str = "") -> Entry:
        """An event, or an order, at this moment or appended a little before it. `bad`: what is wrong with it."""
        self.number += 1
        said = json.loads(data.model_dump_json(exclude_none=True))
        one = JournaledInput(
            id=f"input-{self.number}",
            source="/machine",
            type=data.TYPE,  # type: ignore[attr-defined]
            topic="incident.events",
            partition=0,
            offset=self.number,
            appended_at=self.now - timedelta(seconds=before_s),
            occurred_at=self.now - timedelta(hours=1) if before_s else None,
            data=said,
        )
        one = self._clocked(one)
        if by is not None and bad != "unsigned":
            other = "elsewhere" if bad == "other incident" else line.incident
            key = Ed25519PrivateKey.from_private_bytes(b"x" * 32) if bad == "forged" else None
            signed = by.signs(one.model_copy(update={"id": "x"}) if bad == "replayed" else one, other, key)
            one = one.model_copy(update={"signed": signed})
        return self.take(line, one, by is not None and not bad)

    def call(self, line: Line, due: datetime, reason: WakeReason, at: datetime) -> Entry | None:
        """The clock calls; None: it did so before, and the input is known."""
        one = JournaledInput(
            id=derived("wake", line.incident, reason, due.isoformat()),
            source="tocsin/clock",
            type=Wake.TYPE,
            topic="incident.commands",
            partition=0,
            offset=self.number,
            appended_at=at,
            data=json.loads(Wake(due=due, reason=reason).model_dump_json()),
        )
        if line.state.entry_of(one.source, one.id) is not None:
            return None
        if at - due > timedelta(seconds=1) and due in line.state.wakes:
            line.books.late = max(line.state.at or at, at)
        return self.take(line, self._clocked(one), False)

    def _clocked(self, one: JournaledInput) -> JournaledInput:
        """As it is journaled: a played incident brings its own clock, and the broker's means nothing."""
        if not self.played:
            return one
        clock, real = VirtualClock(time=one.appended_at, speed=60), REAL + timedelta(milliseconds=self.number)
        return one.model_copy(update={"virtual": clock, "appended_at": real})

    def take(self, line: Line, one: JournaledInput, honest: bool) -> Entry:
        """Decides, checks against the books, folds."""
        before, shown = line.state, one.virtual.time if one.virtual else one.appended_at
        if line.calls and min(line.calls) < shown - timedelta(seconds=1):
            line.books.late = max(before.at or shown, shown)
        components = one.data.get("components", ())
        around = self.around.around(before, components, moment(before, one), self.policy.hash)
        one = one.model_copy(update={"surroundings": around})
        decided = decide(before, one, self.policy)
        after = evolve(before, decided.entry)
        assert after == decided.after, decided.entry
        entry = Entry(before, decided, after, self.policy, honest)
        try:
            line.books.take(entry)
        except AssertionError as broken:
            raise AssertionError(f"{broken}\nafter\n{line}") from broken
        line.state = after
        line.entries.append(entry)
        self._note_calls(line, entry)
        self.around.apply(decided.entry)
        self.journal.append(decided.entry)
        return entry

    def _note_calls(self, line: Line, entry: Entry) -> None:
        if entry.woken:
            line.calls.pop(Wake.model_validate(entry.given.data).due, None)
            previous = line.entries[-2].at if len(line.entries) > 1 else None
            asked = Wake.model_validate(entry.given.data).due
            near = previous is not None and asked > previous and entry.at - previous < timedelta(milliseconds=10)
            line.at_once = line.at_once + 1 if near else 0
        else:
            line.at_once = 0
        assert line.at_once <= CALLS_AT_ONCE, f"the clock calls again and again at one moment: {entry}"
        for wake in entry.all(WakeScheduled):
            line.calls[wake.due] = wake.reason
        assert set(line.calls) == set(entry.after.wakes), entry

    # --- time

    def passes(self, by: timedelta) -> None:
        """Time goes by, and the clock calls whenever it is asked to; what it missed while it slept comes first."""
        until = self.now + by
        for line in self.lines.values():
            if self.sleeps:
                self._calls(line, self.now, late=True)
            self._calls(line, until)
        self.sleeps, self.now = False, until

    def sleeps_for(self, by: timedelta) -> None:
        """Time goes by, and the clock does not call."""
        self.now, self.sleeps = self.now + by, True

    def _calls(self, line: Line, until: datetime, late: bool = False) -> None:
        called, allowed = 0, 40 + CALLS_A_DAY * (until - self.now).total_seconds() / A_DAY_S
        while line.calls and (due := min(line.calls)) <= until:
            self.call(line, due, line.calls[due], until if late else max(due, self.now))
            line.calls.pop(due, None)
            called += 1
            assert called <= allowed, f"{called} calls of {line.incident} until {until}: {line.entries[-1]}"
        if not late:
            self._no_first_word_waits(line, until)

    def _no_first_word_waits(self, line: Line, now: datetime) -> None:
        """No approval misses the deadline of a first notice: the safe text went out instead."""
        books, policy = line.books, self.policy
        for draft in books.drafts.values():
            patience = policy.safe_after(draft.held.audience, ends=False)
            if draft.held.kind.value not in {"opened", "reopened", "maintenance_started"} or patience is None:
                continue
            held, told = books.ever_held.get(draft.held.audience), books.told.get(draft.held.audience, ())
            quiet = now - patience - timedelta(seconds=1)
            excused = (
                draft.held.audience not in policy.audiences
                or draft.policy != policy.hash
                or (held is not None and held > draft.since)
            )
            heard = any(at >= draft.since for _, _, at in told)
            waits = line.state.phase is Phase.OPEN and draft.since < quiet and not excused and not heard
            assert not waits, f"{draft.held} waits since {draft.since}: {line.entries[-1]}"

    # --- surroundings, policy, restarts, the end

    def counts(self, audience: str, count: AudienceCount) -> None:
        self.census[audience] = count
        self._recount()

    def rules_by(self, policy: Policy) -> None:
        self.policy = policy
        self._recount()

    def _recount(self) -> None:
        known = {name: count for name, count in self.census.items() if name in self.policy.audiences}
        self.around.count(0, Census(policy=self.policy.hash, audiences=known))

    def restarts(self, line: Line) -> None:
        """A worker takes over: it folds from the journal what the dead one knew, and emits the same again."""
        stored = [JournalEntry.model_validate_json(e.decided.entry.model_dump_json()) for e in line.entries]
        assert fold(line.incident, stored) == line.state
        if line.entries:
            last = line.entries[-1]
            assert again(last.before, last.decided.entry, last.policy) == (last.decided.notices, last.decided.drafts)

    def comes_again(self, line: Line, number: int) -> None:
        """An input comes a second time: it is known, and its notices are made once more as they were."""
        entry = line.entries[number % len(line.entries)]
        assert line.state.entry_of(entry.given.source, entry.given.id) == entry.decided.entry.seq
        made = again(entry.before, entry.decided.entry, entry.policy)
        assert made == (entry.decided.notices, entry.decided.drafts), entry

    def ends(self) -> None:
        """Everything comes to its end: after a while it is over, time goes by, and every account is closed."""
        self.passes(timedelta(minutes=100))
        for line in self.lines.values():
            if line.state.phase in {Phase.OPEN, Phase.PLANNED}:
                self.say(line, IncidentResolved())
        self.passes(timedelta(minutes=40))
        self.passes(timedelta(days=3))
        self.passes(timedelta(days=40))
        for line in self.lines.values():
            closed(line, self.now)
            self.restarts(line)
        versions = {policy.hash: policy for policy in policies()}
        assert list(replay(self.journal, versions)) == []


def again(before: IncidentState, entry: JournalEntry, policy: Policy) -> tuple[Any, Any]:
    """What an entry emits, once more."""
    return notices_of(before, entry, policy), drafts_of(before, entry, policy)


def closed(line: Line, now: datetime) -> None:
    """Whoever was told of a start was told of the end, or a record says why not; no promise is left open."""
    books, last = line.books, line.entries[-1] if line.entries else None
    if last is None or line.state.phase not in {Phase.OVER, Phase.NEW}:
        return
    assert line.state.ending is None, last
    for audience, open_to in books.believes_open.items():
        excused = audience in books.held or audience in books.rejected
        assert not open_to or excused, f"{audience} never heard that it is over:\n{line}"
    owed = {name: made for name, (made, _, _) in books.promises.items() if made.due < now}
    assert not owed, f"{owed}: {last}"
    assert not line.calls, f"the clock is still to call at {sorted(line.calls)}: {last}"


def a_count(total: int, zones: tuple[str, ...], languages: tuple[str, ...], levels: tuple[Level, ...]) -> AudienceCount:
    """So many people, spread over what they chose."""
    return AudienceCount(
        total=total,
        zones=dict.fromkeys(zones, total // max(1, len(zones))),
        languages=dict.fromkeys(languages, total // max(1, len(languages))),
        levels=dict.fromkeys(levels, 1),
    )
