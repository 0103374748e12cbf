"""Closure (I7): whoever was told that it began is told that it is over, or a record says why not.

Whatever happened in between: they moved to another audience, chose other components or channels, lost the role by which
they were selected, opted out, were erased; batches of one lane overtook those of the other; messages waited for the
morning, failed, or nobody knows. The real fan-out, ledger and admit, with everything around them drawn at random.
"""

from collections import defaultdict
from datetime import datetime, time, timedelta
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from pipeline.deliver.admit import Defer, Send, Suppress, admit
from pipeline.deliver.ledger import Ledger
from pipeline.deliver.past import ASIDE, Lookback, got, owed
from pipeline.deliver.rules import STAYS_TRUE
from pipeline.deliver.work import Told, Work
from schemas.base import Channel, Lane
from schemas.delivery import (
    DeliveriesEnded,
    DeliveriesIntended,
    DeliveryAttempted,
    DeliveryBatch,
    NoticeSuperseded,
    Outcome,
    Result,
)
from schemas.journal import NoticeKind as Kind
from schemas.notice import LocalHours, Manners, Notice
from schemas.subscriber import Frequency, OptOut, Subscriber
from tests.deliver.given import AT, EMAIL, SMS, batches, group, mail, notice, subscriber, text

IDS = ("a", "b", "c")
GROUPS = {
    "customers": group("customers"),
    "responders": group("responders", roles=("responder",)),
    "europeans": group("europeans", regions=("EU",)),
}
MANNERS = Manners(
    quiet_hours={SMS: LocalHours(from_=time(22), until=time(7))}, at_most={SMS: 2, EMAIL: 3}, cap_window_s=3600
)
CHOICES = st.fixed_dictionaries(
    {
        "audiences": st.sampled_from([("customers",), ("technical",), ("customers", "europeans"), ()]),
        "channels": st.sampled_from([(EMAIL,), (SMS,), (EMAIL, SMS), (Channel.X,)]),
        "components": st.sampled_from([(), ("Search",), ("Billing",)]),
        "roles": st.sampled_from([(), ("responder",)]),
        "regions": st.sampled_from([(), ("EU",)]),
        "language": st.sampled_from(["en", "de"]),
        "time_zone": st.sampled_from(["UTC", "Asia/Tokyo"]),
        "frequency": st.sampled_from(Frequency),
        "office_hours_only": st.booleans(),
    }
)
FATES = st.sampled_from([Result.ACCEPTED, Result.ACCEPTED, Result.RETRYABLE, Result.UNKNOWN, Result.PERMANENT])


class Outage(RuleBasedStateMachine):
    """One incident, three people, one partition."""

    def __init__(self) -> None:
        super().__init__()
        self.now: datetime = AT
        self.seq = 0
        self.ledger = Ledger()
        self.people: dict[str, Subscriber] = {id_: subscriber(id_, channels=(EMAIL, SMS)) for id_ in IDS}
        self.told: set[str] = set()
        self.notices: dict[Lane, list[Notice]] = {lane: [] for lane in Lane}
        self.queues: dict[tuple[Channel, Lane], list[DeliveryBatch]] = defaultdict(list)
        self.wakes: list[tuple[datetime, DeliveryBatch]] = []

    # --- decide, as far as deliver hangs on it: who was told of it in any audience is told the end in that audience

    @rule(
        kind=st.sampled_from([Kind.OPENED, Kind.UPDATED, Kind.REOPENED, Kind.REVIEW]),
        lane=st.sampled_from(Lane),
        names=st.sets(st.sampled_from(sorted(GROUPS)), min_size=1),
        more=st.fixed_dictionaries({"urgent": st.booleans(), "components": st.sampled_from([(), ("Search",)])}),
    )
    def tell(self, kind: Kind, lane: Lane, names: set[str], more: dict[str, Any]) -> None:
        self._decide(names, kind, lane, **more)
        self.told |= names

    @rule(lane=st.sampled_from(Lane))
    def resolve(self, lane: Lane) -> None:
        self._decide(self.told, Kind.RESOLVED, lane, closing=True)

    @rule(kind=st.sampled_from([Kind.CORRECTION, Kind.RETRACTION]), back=st.integers(1, 3))
    def correct(self, kind: Kind, back: int) -> None:
        if self.seq > back:
            self._decide(self.told, kind, Lane.FIRST, corrects=self.seq - back + 1)

    def _decide(self, names: set[str], kind: Kind, lane: Lane, **more: Any) -> None:
        self.seq += 1
        order = [name for name in GROUPS if name in names]
        for place, name in enumerate(order):
            self.notices[lane].append(
                notice(
                    name,
                    self.seq,
                    kind=kind,
                    lane=lane,
                    group=GROUPS[name],
                    at=self.now,
                    manners=MANNERS,
                    outranked_by=tuple(GROUPS[other] for other in order[:place]),
                    renderings=(mail(), mail("de"), text(), text("de")),
                    **more,
                )
            )

    # --- people

    @rule(who=st.sampled_from(IDS), choices=CHOICES)
    def change_their_mind(self, who: str, choices: dict[str, Any]) -> None:
        before = self.people[who]
        self.people[who] = subscriber(who, **choices, opted_out=before.opted_out, erased=before.erased)

    @rule(who=st.sampled_from(IDS), channel=st.sampled_from([EMAIL, SMS]))
    def leave(self, who: str, channel: Channel) -> None:
        gone = {**self.people[who].opted_out, channel: OptOut(reason="unsubscribed", since=self.now)}
        self.people[who] = self.people[who].model_copy(update={"opted_out": gone})

    @rule(who=st.sampled_from(IDS))
    def be_erased(self, who: str) -> None:
        self.people[who] = subscriber(who, audiences=(), channels=(), erased=True, contact=None)

    # --- deliver: each step in any order that the topics allow

    @rule(lane=st.sampled_from(Lane))
    def fan_out(self, lane: Lane) -> None:
        if not self.notices[lane]:
            return
        one, heard = self.notices[lane].pop(0), {}
        if one.closing or one.corrects is not None:
            self.ledger.apply(
                NoticeSuperseded(
                    incident=one.incident,
                    seq=one.corrects or one.seq - 1,
                    audience=one.audience,
                    and_earlier=one.closing,
                    by_notice=one.notice_id,
                    by_seq=one.seq,
                    at=self.now,
                )
            )
            of = (self.ledger, one.incident)
            heard = owed(*of, one.audience) if one.closing else got(*of, one.corrects or 0, one.audience)
        for batch in batches(one, 0, self.people, heard):
            self.queues[batch.channel, batch.lane].append(batch)

    @rule(of=st.tuples(st.sampled_from([EMAIL, SMS]), st.sampled_from(Lane)), fate=FATES)
    def send(self, of: tuple[Channel, Lane], fate: Result) -> None:
        if self.queues[of]:
            batch = self.queues[of].pop(0)
            for recipient in batch.recipients:
                self._send(batch, recipient, fate)

    @rule(minutes=st.sampled_from([1, 60, 600]))
    def wait(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)
        for due, batch in [wake for wake in self.wakes if wake[0] <= self.now]:
            self.wakes.remove((due, batch))
            self.queues[batch.channel, batch.lane].append(batch)

    def _send(self, batch: DeliveryBatch, recipient: str, fate: Result) -> None:
        work = self._work(batch.seq, batch.channel, recipient)
        past = Lookback(self.ledger, batch, self.now).of(recipient)
        verdict = admit(self.people.get(recipient), batch, work, past, self.now)
        named: dict[str, Any] = {
            "batch_id": "b", "notice_id": batch.notice_id, "incident": batch.incident, "seq": batch.seq,
            "channel": batch.channel, "at": self.now,
        }  # fmt: skip
        if work is None and isinstance(verdict, Send | Defer | Suppress):
            self.ledger.apply(
                DeliveriesIntended(
                    **named,
                    kind=batch.kind,
                    audience=batch.audience,
                    rendering=batch.rendering.sha256,
                    closing=batch.closing,
                    corrects=batch.corrects,
                    recipients=(recipient,),
                )
            )
        match verdict:
            case Send(reconcile=reconcile):
                if not reconcile:  # of what may have been told already it is found out first
                    self._nothing_old_is_told(batch, recipient)
                attempt = f"a{batch.seq}{batch.attempt}{recipient}"
                self.ledger.apply(
                    DeliveryAttempted(
                        **named,
                        attempt_id=attempt,
                        attempt=batch.attempt,
                        kind=batch.kind,
                        rendering=batch.rendering.sha256,
                        recipients=(recipient,),
                    )
                )
                due = self.now + timedelta(minutes=5) if fate in (Result.RETRYABLE, Result.UNKNOWN) else None
                self._end(named, batch, recipient, fate, "sent", due, attempt)
            case Defer():
                assert verdict.until > self.now
                self._end(named, batch, recipient, Result.DEFERRED, verdict.reason, verdict.until)
            case Suppress():
                self._end(named, batch, recipient, Result.SUPPRESSED, verdict.reason, None)

    def _end(
        self, named: Any, batch: DeliveryBatch, recipient: str, result: Result, reason: str,
        due: datetime | None, attempt: str | None = None,
    ) -> None:  # fmt: skip
        outcome = Outcome(recipient=recipient, result=result, reason=reason, due=due)
        self.ledger.apply(DeliveriesEnded(**named, attempt_id=attempt, attempt=batch.attempt, outcomes=(outcome,)))
        if due is not None:
            again = batch.model_copy(update={"recipients": (recipient,), "attempt": batch.attempt + 1})
            self.wakes.append((due, again))

    def _work(self, seq: int, channel: Channel, recipient: str) -> Work | None:
        return self.ledger.work(Told("INC-1", seq, channel), recipient)

    # --- what must hold

    def _nothing_old_is_told(self, batch: DeliveryBatch, recipient: str) -> None:
        """Nothing of how it stood is told after the end of it; what is corrected is told of to those who got it."""
        ends = self._heard(recipient, batch.channel, closing=True)
        assert batch.kind in STAYS_TRUE or all(seq <= batch.seq for seq in ends)
        if batch.kind is Kind.RETRACTION:
            wrong = self._work(batch.corrects or 0, batch.channel, recipient)
            assert wrong is None or wrong.may_have_heard

    def _heard(self, recipient: str, channel: Channel, *, closing: bool) -> list[int]:
        """The entries of which they heard, or may have, that said how it stood."""
        return [
            told.seq
            for told in self.ledger.notices("INC-1", channel)
            if (work := self.ledger.work(told, recipient)) is not None
            and work.heard
            and work.about is not None
            and work.about.kind not in ASIDE
            and work.about.closing == closing
        ]

    def finish(self) -> None:
        """Ends the incident, lets everything come to its end, and looks."""
        self._drain()
        self.resolve(Lane.FIRST)
        self._drain()
        for who in IDS:
            for channel in (EMAIL, SMS):
                begun = max(self._heard(who, channel, closing=False), default=0)
                ends = [told.seq for c in Channel for told in self.ledger.notices("INC-1", c) if self._ended(told, who)]
                assert max(ends, default=0) >= begun, f"{who} was told of {begun} on {channel} and of no end after it"

    def _ended(self, told: Told, who: str) -> bool:
        """Whether an end was told, or a record says why not."""
        work = self.ledger.work(told, who)
        return work is not None and work.about is not None and work.about.closing and work.terminal

    def _drain(self) -> None:
        for _ in range(2000):
            for lane in Lane:
                while self.notices[lane]:
                    self.fan_out(lane)
            for of in list(self.queues):
                while self.queues[of]:
                    self.send(of, Result.ACCEPTED)
            if not self.wakes:
                return
            self.now = max(self.now, min(due for due, _ in self.wakes))
            self.wait(0)
        raise AssertionError("something is put off for ever")

    def teardown(self) -> None:
        """Every world is taken to its end."""
        self.finish()


TestClosure = Outage.TestCase
TestClosure.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)
