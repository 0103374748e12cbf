"""The desks: one for each partition of this worker. Journal what comes in with what follows, then emit the notices.

A partition's incidents are a fold of its journal. The last entry's notices may not have been emitted when an earlier
worker died between journal and acknowledgement, so they are emitted again when a partition is taken over; deliver
knows by id what it has told already.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace

from agents.clockwork import SOURCE, Clockwork
from agents.deadletters import DeadLetters
from agents.desk import Desk, Told, journaled_input
from agents.emit import Emitter
from agents.holdings import Following
from agents.inforce import InForce
from pipeline import failpoints
from pipeline.broker import connect
from pipeline.clock import Clock
from pipeline.decide.incident import decide, drafts_of, moment, notices_of
from pipeline.decide.notices import together
from pipeline.decide.state import IncidentState
from pipeline.decide.surroundings import Neighbourhood
from pipeline.operators import OPERATOR, SIGNATURE, Registry
from pipeline.policy import Policy
from schemas import codec, topics
from schemas.base import Message
from schemas.census import Census
from schemas.codec import Event, Outgoing, Record, Undecodable
from schemas.command import Close, Wake
from schemas.ids import derived
from schemas.journal import Closed, IncidentClosed, JournaledInput, JournalEntry
from schemas.notice import Notice
from schemas.rendering import Rendering

Follow = Callable[[Iterable[topics.Topic], Callable[[Record], None]], Following]
"""A follower of these topics that hands each record to that function."""

Part = tuple[str, int]
Acknowledged = Callable[[Collection[int]], Awaitable[Mapping[Part, int]]]
"""Up to which offset the inputs of these partitions were acknowledged, whoever had them; 0 where it does not say."""

log = logging.getLogger("tocsin.decide")


class Desks:
    """All partitions of this worker. `sandbox`: a played incident may bring its own clock."""

    def __init__(
        self,
        emitter: Emitter,
        dead: DeadLetters,
        follow: Follow,
        registry: Registry,
        acknowledged: Acknowledged,
        clock: Clock,
        *,
        partitions: int,
        sandbox: bool,
    ) -> None:
        self._emitter = emitter
        self._dead = dead
        self._registry = registry
        self._acknowledged = acknowledged
        self._partitions = partitions
        self._sandbox = sandbox
        self.clockwork = Clockwork(emitter, clock)
        self.in_force = InForce()
        self._desks: dict[int, Desk] = {}
        self._neighbourhood = Neighbourhood()
        self._opening = asyncio.Lock()
        self._settled = asyncio.Event()
        self._journal = follow([topics.INCIDENT_JOURNAL], self._journaled)
        self._policies = follow([topics.POLICIES], self.in_force.published)
        self._around = follow([topics.INCIDENT_JOURNAL, topics.CENSUS, topics.INCIDENTS_CLOSED], self._seen_around)
        self._closed: set[str] = set()
        self._operators = follow([topics.OPERATORS], registry.apply)

    async def start(self) -> None:
        """Connects, and reads what every worker knows of every partition."""
        await self._journal.start()
        every, one = range(self._partitions), range(1)
        # an entry is emitted again, and an input decided on, under the policy that is in force, not the first read
        await asyncio.gather(
            _read_all(self._policies, one), _read_all(self._around, every), _read_all(self._operators, one)
        )

    # --- folds

    def _journaled(self, record: Record) -> None:
        desk = self._desks.get(record.partition)
        if desk is None or not desk.reading:
            return
        try:
            event = codec.decode(record, JournalEntry)
        except Undecodable as error:
            log.error("the journal holds a record that cannot be read: %s-%d@%d: %s",
                      record.topic, record.partition, record.offset, error)  # fmt: skip
            return
        if desk.apply(event.data, record.offset, event.extensions.get("traceparent")):
            self.clockwork.note(record.partition, event.data)
            if desk.opened.is_set() and desk.last is not None:
                desk.others[event.data.incident, event.data.seq] = desk.last

    def _seen_around(self, record: Record) -> None:
        try:
            data = codec.decode(record, Message).data
        except Undecodable:
            return  # whoever owns the partition has said so
        if isinstance(data, JournalEntry):
            self._neighbourhood.apply(data)
        elif isinstance(data, Census):
            self._neighbourhood.count(record.partition, data)
        elif isinstance(data, Closed):
            self._closed.add(data.incident)
            self._neighbourhood.closed(data)

    # --- partitions

    def suspend(self) -> None:
        """Nothing new is decided from now on, until the group says again what is ours."""
        self._settled.clear()

    def let_go(self, partitions: Iterable[int]) -> None:
        """These are another worker's now."""
        for partition in partitions:
            self.clockwork.forget(partition)
            if (desk := self._desks.pop(partition, None)) is not None:
                desk.opened.set()  # whoever waits for it looks again, and finds it gone

    async def own(self, partitions: Iterable[int]) -> None:
        """Exactly these are ours; returns when all are open, or the group has said something else meanwhile."""
        self.let_go(set(self._desks))
        desks = self._desks = {partition: Desk(partition) for partition in partitions}
        self._settled.set()
        async with self._opening:  # groups that form one after another are folded one after another
            if self._desks is not desks:
                return
            await self._journal.assign(())
            for desk in desks.values():
                desk.reading = True
            await self._journal.assign(desks)
            acknowledged = await self._acknowledged(desks)
            for desk in list(desks.values()):
                await self._open(desk, acknowledged)

    async def _open(self, desk: Desk, acknowledged: Mapping[Part, int]) -> None:
        """Emits a partition's last entry once more: whoever journaled it may have died before its notices were out.

        Every earlier one was emitted before the next was journaled. So was this one where its input is acknowledged;
        and then it may be of long ago, and whoever came since is not to hear of it.
        """
        await self._journal.caught_up(desk.partition)
        if self._desks.get(desk.partition) is desk and desk.last is not None:
            given = desk.last[1].input
            if given.offset >= acknowledged.get((given.topic, given.partition), 0):
                await self._emit_again(desk.last)
        desk.opened.set()

    async def _came_again(self, desk: Desk, record: Record, incident: str, seq: int) -> None:
        """An input that is in the journal already. What upstream says twice was emitted when it came first."""
        told = _at_hand(desk, incident, seq)
        if told is not None and _place(told[1].input) == _place(record):
            await self._emit_again(told)
            desk.others.pop((incident, seq), None)

    async def _emit_again(self, told: Told) -> None:
        before, entry, parent = told
        if self.in_force.version(entry.policy) is None:  # published while we slept, and not read yet
            await self._policies.caught_up(0)
        if (policy := self.in_force.version(entry.policy)) is None:
            log.error("the notices of %s/%d are not emitted again: policy %s cannot be used (any more)",
                      entry.incident, entry.seq, entry.policy)  # fmt: skip
            return
        try:
            notices, drafts = notices_of(before, entry, policy), drafts_of(before, entry, policy)
        except Exception:
            # whoever takes the partition over would end by it, one after another, and all its incidents stand still
            log.exception("the notices of %s/%d cannot be made once more", entry.incident, entry.seq)
            return
        await self._emit(notices, drafts, entry, parent)

    def awaited(self, partition: int, incident: str, wake_id: str) -> bool:
        """Whether this call of the clock is still to come."""
        desk = self._desks.get(partition)
        if desk is None or self._is_closed(desk, incident):
            return False
        return desk.state(incident).entry_of(SOURCE, wake_id) is None

    # --- the way of an input

    async def handle(self, record: Record) -> bool:
        """Takes one input to its durable result; False if its partition is not ours any more."""
        try:
            event = codec.decode_input(record)
            given = await self._signed(event, journaled_input(event, record, self._sandbox))
        except Undecodable as error:
            await self._dead.bury(record, error)
            return True
        home = connect.partition_for(event.subject or "", self._partitions)
        if home != record.partition:
            # not every client partitions as Kafka's own does; an incident must be decided on in one place
            await self._emitter.forward(Outgoing(record.topic, record.key, record.value, record.headers, home))
            return True
        await self._settled.wait()
        desk = self._desks.get(record.partition)
        if desk is None:
            return False
        await desk.opened.wait()
        if self._desks.get(record.partition) is not desk:
            return False
        async with desk.busy:  # events and commands of one incident, one after another
            return await self._decide(desk, record, event, given)

    async def _decide(self, desk: Desk, record: Record, event: Event[Message], given: JournaledInput) -> bool:
        incident, parent = event.subject or "", event.extensions.get("traceparent")
        policy = await self.in_force.policy()
        while self._desks.get(desk.partition) is desk:
            if self._is_closed(desk, incident):
                await self._refuse(desk, record, incident, given)
                return True
            before = desk.state(incident)
            if (seq := before.entry_of(given.source, given.id)) is not None:
                await self._came_again(desk, record, incident, seq)
                return True
            try:
                decided = decide(before, self._surrounded(before, given, policy), policy)
            except Exception as error:
                log.exception("an input of %s cannot be decided on", incident)
                await self._dead.bury(record, Undecodable("undecidable", f"{type(error).__name__}: {error}"))
                return True
            failpoints.hit("decide.before_journal")
            written = await self._emitter.write(
                topics.INCIDENT_JOURNAL,
                decided.entry,
                id=derived("journal", incident, decided.entry.seq),
                subject=incident,
                time=decided.entry.at,
                partition=desk.partition,
                parent=parent,
            )
            failpoints.hit("decide.after_journal")
            # where its number still is the next one, the incident is as it was when it was decided
            if written.offset == desk.next_offset and desk.apply(decided.entry, written.offset, parent, decided.after):
                self.clockwork.note(desk.partition, decided.entry)
            else:
                # someone else wrote to this journal: fold what they wrote, then see whether ours was the first
                await self._journal.caught_up(desk.partition)
                if self._desks.get(desk.partition) is not desk or written.offset in desk.void:
                    continue
            await self._emit(decided.notices, decided.drafts, decided.entry, parent)
            desk.others.pop((incident, decided.entry.seq), None)
            failpoints.hit("decide.after_notices")
            return True
        return False

    def _is_closed(self, desk: Desk, incident: str) -> bool:
        """As its journal says, or, where Kafka keeps that no more, what is still known of it."""
        return incident in desk.closed or incident in self._closed

    async def _refuse(self, desk: Desk, record: Record, incident: str, given: JournaledInput) -> None:
        """What comes of a closed incident. The order to close it, once more: whoever obeyed may have died since."""
        if given.type == Close.TYPE:
            if (told := _at_hand(desk, incident, given.data["seq"] + 1)) is not None:
                await self._emit_again(told)
        elif given.type != Wake.TYPE:  # a call that comes late is nobody's loss
            detail = f"{incident} ended long ago and is closed: say it under a new id, as an incident of its own"
            await self._dead.bury(record, Undecodable("incident_closed", detail))

    async def _signed(self, event: Event[Message], given: JournaledInput) -> JournaledInput:
        """The input with the key and the roles of whoever says that they signed it; whether they did is decided later.

        Operators are read up to this moment: whoever was taken away just now orders nothing any more.
        """
        name, signature = event.extensions.get(OPERATOR), event.extensions.get(SIGNATURE)
        if not name or not signature:
            return given
        await self._operators.caught_up(0)
        return given.model_copy(update={"signed": self._registry.signature(name, signature)})

    def _surrounded(self, state: IncidentState, given: JournaledInput, policy: Policy) -> JournaledInput:
        components = given.data.get("components", ())
        around = self._neighbourhood.around(state, components, moment(state, given), policy.hash)
        return given.model_copy(update={"surroundings": around})

    async def _emit(
        self, notices: tuple[Notice, ...], drafts: tuple[Rendering, ...], entry: JournalEntry, parent: str | None
    ) -> None:
        """The notices, one copy to every partition, and each rendering once; and that an incident was closed.

        The notices first: everyone waits for them, and they bring the renderings along.
        """
        if any(isinstance(decision, IncidentClosed) for decision in entry.decisions):
            await self._emit_closed(entry, parent)
        made = [*(r for notice in notices for r in notice.renderings), *drafts]
        renderings = {r.sha256: r for r in made}.values()
        write, forward = self._emitter.write, self._emitter.forward
        await asyncio.gather(*(forward(copy) for copy in self._copies(notices, entry, parent)))
        failpoints.hit("decide.before_renderings")
        await asyncio.gather(
            *(
                write(topics.RENDERINGS, r, id=r.sha256, subject=entry.incident, key=r.sha256, parent=parent)
                for r in renderings
            )
        )

    async def _emit_closed(self, entry: JournalEntry, parent: str | None) -> None:
        incident = entry.incident
        openings = self._neighbourhood.openings(incident)
        closed = Closed(incident=incident, seq=entry.seq, at=entry.at, openings=openings)
        name = derived("closed", incident, entry.seq)
        await self._emitter.write(topics.INCIDENTS_CLOSED, closed, id=name, subject=incident, parent=parent)

    def _copies(self, notices: tuple[Notice, ...], entry: JournalEntry, parent: str | None) -> Iterator[Outgoing]:
        """The same bytes for every partition; named by the first notice in them."""
        incident, at, encoded = entry.incident, entry.at, self._emitter.encoded
        for lane, those in together(notices):
            id = those.notices[0].notice_id
            one = encoded(topics.notices(lane), those, id=id, subject=incident, time=at, parent=parent)
            for partition in range(self._partitions):
                yield replace(one, partition=partition)


def _at_hand(desk: Desk, incident: str, seq: int) -> Told | None:
    if desk.last is not None and (desk.last[1].incident, desk.last[1].seq) == (incident, seq):
        return desk.last
    return desk.others.get((incident, seq))


def _place(of: Record | JournaledInput) -> tuple[str, int, int]:
    return of.topic, of.partition, of.offset


async def _read_all(follower: Following, partitions: Iterable[int]) -> None:
    await follower.start()
    await follower.assign(partitions)
    await asyncio.gather(*(follower.caught_up(partition) for partition in partitions))
