"""Books kept beside the decider, from inputs and decisions alone: what must hold of every entry.

Each check is a sentence; the entry that breaks one is named. `Entry` is one decision with all that it is judged by.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pipeline import authority
from pipeline.decide.cadence.clock import all_due
from pipeline.decide.incident import Decided
from pipeline.decide.state import IncidentState, Phase
from pipeline.decide.turn import ENDS
from pipeline.decide.view import MARKS, approval_needed
from pipeline.policy import Policy
from schemas import command as commands
from schemas import journal
from schemas.base import Level, Severity
from schemas.codec import TYPES
from schemas.incident import Facts, IncidentEvent
from schemas.journal import JournaledInput, NoticeDecided, NoticeHeld, NoticeKind
from schemas.rendering import Rendering
from tests.decide.machine_saying import Marks

BEGINS = {NoticeKind.OPENED, NoticeKind.REOPENED, NoticeKind.MAINTENANCE_STARTED}
APART = {NoticeKind.REMINDER, NoticeKind.REVIEW, NoticeKind.CORRECTION, NoticeKind.RETRACTION}
"""What is told whatever somebody believes of where the incident stands."""
REPEATS = {NoticeKind.UNCHANGED, NoticeKind.REMINDER, NoticeKind.MAINTENANCE_SOON}
"""Nothing in it that was not approved before."""
MOMENT = timedelta(milliseconds=1)
AT_ONCE = timedelta(seconds=25)
RANK = (Level.INTERNAL, Level.TECHNICAL, Level.EXECUTIVE, Level.CUSTOMER, Level.PUBLIC)


@dataclass(frozen=True)
class Entry:
    """One input decided. `honest`: whoever it names signed exactly this."""

    before: IncidentState
    decided: Decided
    after: IncidentState
    policy: Policy
    honest: bool

    @property
    def given(self) -> JournaledInput:
        return self.decided.entry.input

    @property
    def at(self) -> datetime:
        return self.decided.entry.at

    @property
    def woken(self) -> bool:
        return self.given.type == commands.Wake.TYPE

    @property
    def happened(self) -> bool:
        return issubclass(TYPES[self.given.type], IncidentEvent)

    @property
    def order(self) -> commands.OperatorCommand | None:
        model = TYPES[self.given.type]
        return model.model_validate(self.given.data) if issubclass(model, commands.OperatorCommand) else None

    @property
    def roles(self) -> frozenset[str]:
        """Of whoever ordered it; none where the signature is not theirs."""
        return frozenset(self.given.signed.roles) if self.given.signed and self.honest else frozenset()

    @property
    def signer(self) -> str | None:
        return self.given.signed.operator if self.given.signed and self.honest else None

    def all(self, *kinds: type) -> list[Any]:
        return [decision for decision in self.decided.entry.decisions if isinstance(decision, kinds)]

    def __str__(self) -> str:
        entry = self.decided.entry
        said = "\n  ".join(str(decision)[:400] for decision in entry.decisions)
        given = f"{self.given.type} {self.given.data}"
        return f"{entry.incident}/{entry.seq} at {entry.at} under {self.policy.name}: {given}\n  {said}"


@dataclass
class Draft:
    """A draft as the journal tells of it."""

    held: NoticeHeld
    since: datetime
    policy: str
    renderings: frozenset[str]
    marks: int
    approved: dict[str, frozenset[str]] = field(default_factory=dict)


@dataclass
class Books:
    """What was said of one incident, to whom, by whose leave."""

    marks: Marks
    drafts: dict[str, Draft] = field(default_factory=dict)
    told: dict[str, list[tuple[int, NoticeKind, datetime]]] = field(default_factory=dict)
    believes_open: dict[str, bool] = field(default_factory=dict)
    promises: dict[str, tuple[journal.PromiseMade, datetime, str]] = field(default_factory=dict)
    held: set[str] = field(default_factory=set)
    ever_held: dict[str, datetime] = field(default_factory=dict)
    """Until when an audience was last held; the end of time while it is."""
    rejected: set[str] = field(default_factory=set)
    """Audiences whose last word somebody rejected by name."""
    ending: datetime | None = None
    texts: dict[tuple[str, str], frozenset[int]] = field(default_factory=dict)
    """(field, hash of its text): the marks in it."""
    approved: set[int] = field(default_factory=set)
    """Marks of texts that whoever must approve them did approve."""
    heard: dict[str, int] = field(default_factory=dict)
    """How many marks there were when the words were made that an audience heard last."""
    shown: dict[str, set[int]] = field(default_factory=dict)
    """The marks that each audience was shown."""
    late: datetime | None = None
    """When the clock last called late."""

    def take(self, entry: Entry) -> None:
        """Checks an entry against the books, then writes it down."""
        self._learn_texts(entry)
        for check in CHECKS:
            check(self, entry)
        self._write(entry)

    def _learn_texts(self, entry: Entry) -> None:
        """What whoever approves a field approves: known by its hash, as the journal names it."""
        model = TYPES[entry.given.type].model_validate(entry.given.data)
        facts = model if isinstance(model, Facts) else getattr(model, "facts", None)
        for name, value in facts or ():
            if value is not None:
                marks = frozenset(number for number, _, _ in self.marks.found(str(value)))
                self.texts[name, authority.text_content(str(value))] = marks
        for release in entry.all(journal.FieldReleased):
            order = entry.order
            assert isinstance(order, commands.Approve), entry
            needed = approval_needed(release.field, entry.policy.approvals)
            assert needed is None or needed in entry.roles, f"released without {needed}: {entry}"
            self.approved |= self.texts.get((release.field, order.content), frozenset())

    def _write(self, entry: Entry) -> None:
        at, seq = entry.at, entry.decided.entry.seq
        for settled in entry.all(journal.PromiseKept, journal.PromiseBroken):
            del self.promises[settled.audience]
        for made in entry.all(journal.PromiseMade):
            self.promises[made.audience] = (made, at, entry.policy.hash)
        for approval in entry.all(journal.DraftApproved):
            self.drafts[approval.draft].approved[approval.by] = entry.roles
        since = {(d.held.audience, d.held.corrects): (d.held.kind, d.since) for d in self.drafts.values()}
        for voided in entry.all(journal.DraftVoided):
            gone = self.drafts.pop(voided.draft)
            if voided.reason.startswith("rejected by") and gone.held.kind in ENDS:
                self.rejected.add(voided.audience)
        for change in entry.all(journal.AudienceHeld):
            (self.held.add if change.held else self.held.discard)(change.audience)
            self.ever_held[change.audience] = datetime.max.replace(tzinfo=at.tzinfo) if change.held else at
        for told in whole(entry):
            self.told.setdefault(told.audience, []).append((seq, told.kind, at))
            if told.kind in BEGINS | ENDS:
                self.rejected.discard(told.audience)
            if told.kind is not NoticeKind.UNCHANGED:
                self.heard[told.audience] = self.drafts[told.draft].marks if told.draft else len(self.marks.made)
            if told.kind in ENDS:
                self.believes_open[told.audience] = False
            elif told.kind not in APART and entry.after.phase is Phase.OPEN:
                self.believes_open[told.audience] = True
        for notice in entry.decided.notices:
            words = "".join(rendering.content.model_dump_json() for rendering in notice.renderings)
            self.shown.setdefault(notice.audience, set()).update(number for number, _, _ in self.marks.found(words))
        for told in entry.all(NoticeDecided):
            if told.draft is not None:
                del self.drafts[told.draft]
        for held in entry.all(NoticeHeld):
            kind, first = since.get((held.audience, held.corrects), (None, at))
            self.drafts[held.draft] = Draft(
                held,
                first if kind is held.kind else at,
                entry.policy.hash,
                frozenset(sha for hashes in held.renderings.values() for sha in hashes),
                len(self.marks.made),
            )
        for ended in entry.all(journal.ResolutionHeld):
            self.ending = self.ending or ended.until
        if entry.all(journal.ResolutionUndone, journal.ResolutionConfirmed):
            self.ending = None

    def excused(self, audience: str, made_at: datetime, policy: str, entry: Entry) -> bool:
        """Whether a promise could not be kept: a late clock, somebody's hold or rejection, another policy."""
        late = self.late is not None and self.late >= made_at
        held = self.ever_held.get(audience)
        return (
            late or audience in self.rejected or policy != entry.policy.hash or (held is not None and held >= made_at)
        )


def worded(entry: Entry) -> list[tuple[str, Rendering, bool]]:
    """Every rendering of an entry, with whom it is for, and whether it must be in templated words only."""
    held = {sha: d.audience for d in entry.all(NoticeHeld) for hashes in d.renderings.values() for sha in hashes}
    told = zip(entry.decided.notices, entry.all(NoticeDecided), strict=True)
    return [
        *((notice.audience, rendering, decided.safe) for notice, decided in told for rendering in notice.renderings),
        *((held[rendering.sha256], rendering, False) for rendering in entry.decided.drafts),
    ]


def whole(entry: Entry) -> list[NoticeDecided]:
    """Who was told, apart from reminders and from notices to some time zones only."""
    return [d for d in entry.all(NoticeDecided) if not d.zones and d.kind is not NoticeKind.REMINDER]


# --- what must hold of every entry


def the_order_is_kept(books: Books, entry: Entry) -> None:
    before, made = entry.before, entry.decided.entry
    assert made.seq == before.seq + 1 == entry.after.seq, entry
    assert before.at is None or made.at >= before.at, entry
    assert made.at >= (entry.given.virtual.time if entry.given.virtual else entry.given.appended_at), entry
    if entry.woken:
        assert made.at >= commands.Wake.model_validate(entry.given.data).due, entry


def every_audience_is_accounted_for(books: Books, entry: Entry) -> None:
    """Told, held, put off, or silent with a reason; each once (explained silence)."""
    if not entry.happened and not (entry.woken and entry.all(journal.ResolutionConfirmed)):
        return
    verdicts = entry.all(NoticeDecided, NoticeHeld, journal.AudiencePutOff, journal.AudienceSilent)
    named = Counter(d.audience for d in verdicts)
    gone = named.keys() - entry.policy.audiences.keys()
    assert set(named.values()) == {1}, entry
    assert named.keys() >= entry.policy.audiences.keys(), entry
    assert gone <= books.told.keys(), entry
    assert all(d.reason for d in verdicts), entry


def nobody_is_told_and_not_told(books: Books, entry: Entry) -> None:
    """A held update in whose place "unchanged" is told is the one exception."""
    told = {d.audience: d for d in whole(entry)}
    silent = {d.audience for d in entry.all(journal.AudienceSilent)}
    later = {d.audience for d in entry.all(journal.AudiencePutOff)}
    held = {d.audience: d for d in entry.all(NoticeHeld) if not d.zones}
    assert not silent & (told.keys() | held.keys() | later), entry
    assert not later & (told.keys() | held.keys()), entry
    for name in told.keys() & held.keys():
        pair = told[name].kind, held[name].kind
        corrected = told[name].corrects is not None or held[name].corrects is not None
        assert corrected or pair == (NoticeKind.UNCHANGED, NoticeKind.UPDATED), entry


def every_notice_has_its_own_name(books: Books, entry: Entry) -> None:
    ids = [d.notice_id for d in entry.all(NoticeDecided)]
    assert len(set(ids)) == len(ids), entry
    assert [n.notice_id for n in entry.decided.notices] == ids, entry
    made = {r.sha256 for n in entry.decided.notices for r in n.renderings}
    named = {sha for d in entry.all(NoticeDecided) for hashes in d.renderings.values() for sha in hashes}
    assert made == named, entry


def every_draft_comes_to_an_end_on_record(books: Books, entry: Entry) -> None:
    """None vanishes: it waits, goes out, or is voided."""
    voided = {d.draft for d in entry.all(journal.DraftVoided)}
    gone = {d.draft for d in entry.all(NoticeDecided) if d.draft}
    held = [d.draft for d in entry.all(NoticeHeld)]
    assert len(set(held)) == len(held), entry
    waiting = {draft.id for draft in entry.after.drafts.values()}
    assert (books.drafts.keys() | set(held)) - voided - gone == waiting, entry


def a_hold_holds(books: Books, entry: Entry) -> None:
    released = {d.audience for d in entry.all(journal.AudienceHeld) if not d.held}
    for told in entry.all(NoticeDecided):
        held = told.audience in books.held - released
        assert not held or told.kind is NoticeKind.REMINDER, f"{told.audience} is held: {entry}"


def only_who_may_does(books: Books, entry: Entry) -> None:
    """Whoever may not order something changes nothing by it."""
    order, commanders = entry.order, set(entry.policy.audience.commanders)
    if order is None:
        return
    refused = bool(entry.all(journal.CommandRefused))
    if isinstance(order, commands.Approve):
        draft = books.drafts.get(order.draft)
        allowed = entry.honest and (draft is None or (order.content == draft.held.content and not draft.held.refused))
    elif isinstance(order, commands.Edit | commands.Reject):
        draft = books.drafts.get(order.draft)
        allowed = draft is not None and bool(entry.roles & (set(draft.held.needs) | commanders))
    else:
        allowed = bool(entry.roles & commanders)
    assert refused or allowed, entry
    if refused:
        kept = ("known", "phase", "told", "drafts", "held", "put_off", "ending", "released", "withheld", "offices")
        assert all(getattr(entry.before, name) == getattr(entry.after, name) for name in kept), entry
        assert not entry.all(NoticeDecided, NoticeHeld, journal.AudienceHeld, journal.DraftVoided), entry


def a_draft_goes_out_as_it_was_approved(books: Books, entry: Entry) -> None:
    order = entry.order
    for told, notice in zip(entry.all(NoticeDecided), entry.decided.notices, strict=True):
        if told.draft is None:
            continue
        draft = books.drafts[told.draft]
        held, people = draft.held, dict(draft.approved)
        if isinstance(order, commands.Approve) and order.draft == told.draft:
            assert order.content == held.content, entry
            people[entry.signer or ""] = entry.roles
        told_as = authority.content_of(told.audience, told.level, told.kind, told.renderings, told.zones, told.corrects)
        assert told_as == held.content, entry
        assert {r.sha256 for r in notice.renderings} == draft.renderings, entry
        assert not held.refused, entry
        assert tuple(sorted(told.approved_by)) == tuple(sorted(people)) or isinstance(order, commands.Release), entry
        if isinstance(order, commands.Release) and held.by_operator:
            continue
        assert held.author not in people, f"approved by its author: {entry}"
        assert len(people) >= held.people, entry
        assert {role for roles in people.values() for role in roles} >= set(held.needs), entry


def what_needs_leave_has_it(books: Books, entry: Entry) -> None:
    """Nothing goes out without the approval that the entry's policy asks for, except repetitions and safe texts."""
    known, census = entry.after.known, entry.after.census
    findings = [d for d in entry.all(journal.GuardFound) if d.action != "mend"]
    for told in entry.all(NoticeDecided):
        if told.draft is not None or told.safe or told.kind in REPEATS:
            continue
        group = entry.policy.audiences.get(told.audience)
        consent = group.consent if group else None
        assert consent is None or not consent.needed_for(told.kind, entry.after.worst), entry
        other = any(held.audience == told.audience for held in entry.all(NoticeHeld))
        assert other or not any(told.audience in found.audiences for found in findings), entry
        count = census.get(told.audience)
        why = entry.policy.audience.two_people_for(
            known.severity, count.total if count else 0, entry.after.usual.get(told.audience), told.audience
        )
        assert why is None, f"{why}: {entry}"
        if told.level in {Level.CUSTOMER, Level.PUBLIC}:
            for terms in entry.policy.catalogue.contracts.values():
                assert terms.approval is None or not set(terms.components) & set(known.components or ()), entry


def whoever_must_agree_is_asked(books: Books, entry: Entry) -> None:
    """A draft asks for everybody whom the entry's policy names, and for two people where it says so."""
    for held in entry.all(NoticeHeld):
        group, count = entry.policy.audiences.get(held.audience), entry.after.census.get(held.audience)
        if held.kind in REPEATS:
            continue
        severity, edited = entry.after.known.severity, isinstance(entry.order, commands.Edit)
        if edited and entry.order.facts.severity is not None:
            severity = entry.order.facts.severity
        usual, total = entry.after.usual.get(held.audience), count.total if count else 0
        two = entry.policy.audience.two_people_for(severity, total, usual, held.audience)
        assert two is None or held.people == 2, f"{two}: {entry}"
        if group is not None and group.consent is not None:
            needed = group.consent.needed_for(held.kind, entry.after.worst)
            assert not needed or set(group.consent.by) <= set(held.needs), entry


def the_safe_text_comes_at_its_deadline_only(books: Books, entry: Entry) -> None:
    for told in entry.all(NoticeDecided):
        if not told.safe or told.kind is NoticeKind.UNCHANGED:
            continue
        drafts = [d for d in books.drafts.values() if d.held.audience == told.audience]
        assert entry.woken, entry
        drafts = [d for d in drafts if d.held.kind is told.kind]
        assert drafts, entry
        assert told.kind in BEGINS | ENDS, entry
        waited = entry.at - drafts[0].since
        promise = books.promises.get(told.audience)
        patience = entry.policy.safe_after(told.audience, ends=told.kind in ENDS)
        promised = promise is not None and told.kind in ENDS and entry.at >= promise[0].due - timedelta(minutes=2)
        assert promised or (patience is not None and waited >= patience), f"after {waited}: {entry}"


def nothing_leaks(books: Books, entry: Entry) -> None:
    """Every text stands only where its mark says that it may, and what needs an approval where it was approved."""
    for audience, rendering, safe in worded(entry):
        for number, incident, name in books.marks.found(rendering.content.model_dump_json()):
            where = f"{incident}.{name} ({number}) in {rendering.level} {rendering.content.channel}"
            assert not safe, f"{where}, which is safe: {entry}"
            shown = "earlier" if incident != entry.after.incident else name
            assert incident == entry.after.incident or name == "title", f"{where}: {entry}"
            assert rendering.level in MARKS[shown].levels, f"{where}: {entry}"
            needed = approval_needed(shown, entry.policy.approvals)
            heard = number in books.shown.get(audience, ())  # before a policy asked for an approval
            assert needed is None or number in books.approved or heard, f"{where} without {needed}: {entry}"


def unchanged_says_nothing_new(books: Books, entry: Entry) -> None:
    for notice in entry.decided.notices:
        if notice.kind is NoticeKind.UNCHANGED:
            words = "".join(rendering.content.model_dump_json() for rendering in notice.renderings)
            for number, _, name in books.marks.found(words):
                assert number < books.heard[notice.audience], f"{name} ({number}) is new to {notice.audience}: {entry}"


def outsiders_stay_out(books: Books, entry: Entry) -> None:
    """Of a private incident, and of what they are never told of, only those hear who had heard of it before."""
    known = entry.after.known
    for told in entry.all(NoticeDecided):
        if told.audience in books.told or told.kind is NoticeKind.REMINDER:
            continue
        invited = known.private_to is None or told.audience in (*known.private_to, *entry.policy.audience.private)
        assert invited, f"{told.audience} is not invited: {entry}"
        for rule in entry.policy.audience.never_tell:
            if rule.audience == told.audience:
                components = not rule.components or set(rule.components) & set(known.components or rule.components)
                severities = not rule.severities or known.severity in {None, *rule.severities}
                assert not (components and severities), f"{rule.because}: {entry}"


def an_end_is_told_once_it_has_held(books: Books, entry: Entry) -> None:
    ends = [d for d in entry.all(NoticeDecided) if d.kind in ENDS]
    confirmed = entry.all(journal.ResolutionConfirmed)
    ordered = isinstance(entry.order, commands.PublishNow)
    assert not confirmed or ordered or (books.ending is not None and entry.at >= books.ending), entry
    assert books.ending is None or confirmed or not [d for d in ends if d.kind is NoticeKind.RESOLVED], entry
    assert not ends or entry.after.phase is Phase.OVER, f"told as over, but it is not: {entry}"
    assert not entry.all(journal.ResolutionHeld) or not ends, entry
    hold, since = entry.policy.cadence.held.get(entry.after.worst or Severity.NONE), entry.before.monitored_since
    said = [d for d in entry.all(NoticeDecided, NoticeHeld) if d.kind is NoticeKind.RESOLVED]
    if entry.happened and hold and said and entry.before.phase is Phase.OPEN and not entry.before.maintenance:
        assert entry.at >= (since or entry.at) + hold, f"it must hold for {hold}: {entry}"


def what_is_told_fits_what_was_heard(books: Books, entry: Entry) -> None:
    """Nobody hears "unchanged" who does not know that it is open, nor twice of the same beginning without its end."""
    for told in entry.all(NoticeDecided):
        if told.kind is NoticeKind.UNCHANGED:
            before = max((at for _, _, at in books.told.get(told.audience, ())), default=None)
            assert before is None or entry.at - before > AT_ONCE, f"told at {before} already: {entry}"
            assert books.believes_open.get(told.audience), f"{told.audience} does not know it is open: {entry}"
        if told.kind in BEGINS:
            assert entry.after.phase is Phase.OPEN, f"{told.kind}, but it is over: {entry}"


def promises_are_settled_once(books: Books, entry: Entry) -> None:
    made = Counter(d.audience for d in entry.all(journal.PromiseMade))
    settled = Counter(d.audience for d in entry.all(journal.PromiseKept, journal.PromiseBroken))
    heard = {d.audience for d in whole(entry)}
    assert set(made.values()) | set(settled.values()) <= {1}, entry
    assert settled.keys() <= books.promises.keys(), entry
    assert made.keys() <= heard, entry
    assert not (made.keys() & books.promises.keys()) - settled.keys(), f"two promises owed at once: {entry}"
    assert heard & books.promises.keys() <= settled.keys(), entry
    assert all(d.due > entry.at for d in entry.all(journal.PromiseMade)), entry
    for kept in entry.all(journal.PromiseKept):
        assert kept.due == books.promises[kept.audience][0].due, entry
        assert entry.at <= kept.due, entry
        assert kept.audience in heard, entry
    for broken in entry.all(journal.PromiseBroken):
        assert broken.due == books.promises[broken.audience][0].due, entry
        assert entry.at > broken.due, entry


def a_promise_is_kept(books: Books, entry: Entry) -> None:
    for broken in entry.all(journal.PromiseBroken):
        _, made_at, policy = books.promises[broken.audience]
        assert books.excused(broken.audience, made_at, policy, entry), f"broken to {broken.audience}: {entry}"


def the_clock_will_call(books: Books, entry: Entry) -> None:
    """Whatever is due has a call to come, at its moment at the latest."""
    for due in all_due(entry.after, entry.policy):
        if entry.woken and due.at <= entry.at:
            continue
        latest = max(due.at, entry.at + MOMENT)
        assert any(wake <= latest for wake in entry.after.wakes), f"nobody calls for {due}: {entry}"


def the_outranked_are_named(books: Books, entry: Entry) -> None:
    """Who belongs to an audience told in the same breath at a higher level is told there alone."""
    for notice in entry.decided.notices:
        higher = {
            other.audience
            for other in entry.decided.notices
            if (other.zones, other.corrects) == (notice.zones, notice.corrects)
            and RANK.index(other.level) < RANK.index(notice.level)
        }
        assert higher <= {group.audience for group in notice.outranked_by}, entry


CHECKS = (
    the_order_is_kept,
    every_audience_is_accounted_for,
    nobody_is_told_and_not_told,
    every_notice_has_its_own_name,
    every_draft_comes_to_an_end_on_record,
    a_hold_holds,
    only_who_may_does,
    a_draft_goes_out_as_it_was_approved,
    what_needs_leave_has_it,
    whoever_must_agree_is_asked,
    the_safe_text_comes_at_its_deadline_only,
    nothing_leaks,
    unchanged_says_nothing_new,
    outsiders_stay_out,
    an_end_is_told_once_it_has_held,
    what_is_told_fits_what_was_heard,
    promises_are_settled_once,
    a_promise_is_kept,
    the_clock_will_call,
    the_outranked_are_named,
)
