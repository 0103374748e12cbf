"""The decide room: journal what comes in with what follows from it, then emit the notices, then acknowledge.

A partition's incidents are a fold of its journal. The last entry's notices may not have been emitted when an earlier
worker died between journal and acknowledgement, so they are emitted again when a partition is taken over; deliver
knows by id what it has told already.
"""

import asyncio
import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import faust

from agents.app import Background, die, make_app, ready
from agents.clockwork import SOURCE, Clockwork
from agents.deadletters import DeadLetters
from agents.emit import Emitter
from agents.follow import Follower
from agents.lanes import serve
from pipeline import clock, failpoints
from pipeline import policy as policies
from pipeline.broker import connect
from pipeline.decide.incident import decide, drafts_of, evolve, moment, notices_of
from pipeline.decide.state import IncidentState
from pipeline.decide.surroundings import Neighbourhood
from pipeline.errors import PolicyError
from pipeline.operators import OPERATOR, SIGNATURE, Registry
from pipeline.policy import Policy
from pipeline.settings import Settings
from pipeline.vault import Vault
from schemas import codec, topics
from schemas.base import Message
from schemas.census import Census
from schemas.codec import Event, Outgoing, Record, Undecodable
from schemas.ids import derived
from schemas.journal import JournaledInput, JournalEntry, VirtualClock
from schemas.notice import Notice
from schemas.policy import PolicyPublished
from schemas.rendering import Rendering

ROOM = "decide"

log = logging.getLogger("tocsin.decide")


@dataclass
class Desk:
    """One partition's incidents, and its last journal entry with the state before it."""

    partition: int
    incidents: dict[str, IncidentState] = field(default_factory=dict)
    last: tuple[IncidentState, JournalEntry, str | None] | None = None
    next_offset: int = 0
    opened: asyncio.Event = field(default_factory=asyncio.Event)
    busy: asyncio.Lock = field(default_factory=asyncio.Lock)

    def state(self, incident: str) -> IncidentState:
        """Where an incident stands; a fresh state for one that nobody has heard of."""
        return self.incidents.get(incident) or IncidentState(incident)

    def apply(self, entry: JournalEntry, offset: int, parent: str | None) -> bool:
        """Folds an entry; False if the incident has moved on already (the first of a number counts)."""
        before = self.state(entry.incident)
        self.next_offset = max(self.next_offset, offset + 1)
        if entry.seq != before.seq + 1:
            return False
        self.incidents[entry.incident] = evolve(before, entry)
        self.last = (before, entry, parent)
        return True


class Decide:
    """Wires the room together; one per process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._vault = Vault.open(settings)
        self._desks: dict[int, Desk] = {}
        self._policies: dict[str, PolicyPublished] = {}
        self._current: str | None = None
        self._neighbourhood = Neighbourhood()
        self._registry = Registry(self._vault)
        self._policy_known = asyncio.Event()
        self._started = asyncio.Event()
        self._announced = False
        self._opening = asyncio.Lock()
        self._settled = asyncio.Event()
        self._background = Background()
        self.app = make_app(settings, ROOM)
        self.app.on_partitions_assigned.connect(self._assigned)
        self.app.on_partitions_revoked.connect(self._revoked)
        self.app.task(self._start)
        source = self.app.topic(
            topics.INCIDENT_EVENTS.name, topics.INCIDENT_COMMANDS.name, key_serializer="raw", value_serializer="raw"
        )
        self.app.agent(source, name="decide", concurrency=1)(self._work)

    async def _work(self, stream: Any) -> None:
        await self._started.wait()
        await serve(stream, self._handle)

    async def _start(self) -> None:
        try:
            self._emitter = Emitter(await connect.producer(self._settings), ROOM)
            self._dead = DeadLetters(self._emitter, self._vault, ROOM)
            self._clockwork = Clockwork(self._emitter, clock.now)
            self._journal = Follower(self._settings, [topics.INCIDENT_JOURNAL], self._journaled)
            self._policy_topic = Follower(self._settings, [topics.POLICIES], self._policy_published)
            self._around = Follower(self._settings, [topics.INCIDENT_JOURNAL, topics.CENSUS], self._seen_around)
            self._operators = Follower(self._settings, [topics.OPERATORS], self._registry.apply)
            await self._journal.start()
            every = range(self._settings.partitions)
            # an entry is emitted again, and an input decided on, under the policy that is in force, not the first read
            await asyncio.gather(
                _read_all(self._policy_topic, every),
                _read_all(self._around, every),
                _read_all(self._operators, range(1)),
            )
            self._started.set()
            self._background.run(self._clockwork.run(self._awaited))
        except Exception as error:
            die(error)

    # --- folds

    def _journaled(self, record: Record) -> None:
        desk = self._desks.get(record.partition)
        if desk is None:
            return
        try:
            event = codec.decode(record, JournalEntry)
        except Undecodable as error:
            log.error("the journal holds a record that cannot be read: %s-%d@%d: %s",
                      record.topic, record.partition, record.offset, error)  # fmt: skip
            return
        if desk.apply(event.data, record.offset, event.extensions.get("traceparent")):
            self._clockwork.note(record.partition, event.data)

    def _policy_published(self, record: Record) -> None:
        try:
            published = codec.decode(record, PolicyPublished).data
            policies.compile(published)
        except (Undecodable, PolicyError) as error:
            log.error("a policy was published that cannot be used, the last good one stays: %s", error)
            return
        self._policies[published.hash] = published
        self._current = published.hash
        self._policy_known.set()

    def _seen_around(self, record: Record) -> None:
        try:
            data = codec.decode(record, Message).data
        except Undecodable:
            return  # whoever owns the partition has said so
        if isinstance(data, JournalEntry):
            self._neighbourhood.apply(data)
        elif isinstance(data, Census):
            self._neighbourhood.count(record.partition, data)

    async def _policy(self) -> Policy:
        """The policy in force. Without any, nothing is decided."""
        if not self._policy_known.is_set():
            log.warning("no policy is published: inputs wait; publish one with `tocsin policy publish`")
        await self._policy_known.wait()
        return policies.compile(self._policies[self._current or ""])

    # --- partitions

    async def _assigned(self, _app: faust.App, assigned: Iterable[Any], **_: Any) -> None:
        self._background.run(self._own({tp.partition for tp in assigned if tp.topic == topics.INCIDENT_EVENTS.name}))

    async def _revoked(self, _app: faust.App, revoked: Iterable[Any], **_: Any) -> None:
        self._settled.clear()
        self._let_go({tp.partition for tp in revoked})

    def _let_go(self, partitions: set[int]) -> None:
        for partition in partitions:
            self._clockwork.forget(partition)
            if (desk := self._desks.pop(partition, None)) is not None:
                desk.opened.set()  # whoever waits for it looks again, and finds it gone

    async def _own(self, partitions: set[int]) -> None:
        await self._started.wait()
        self._let_go(set(self._desks))
        desks = self._desks = {partition: Desk(partition) for partition in partitions}
        self._settled.set()
        async with self._opening:  # groups that form one after another are folded one after another
            if self._desks is not desks:
                return
            await self._journal.assign(())
            await self._journal.assign(partitions)
            for desk in list(desks.values()):
                await self._open(desk)
        if not self._announced:
            self._announced = True
            log.info("decide is ready with %d partitions", len(partitions))
            ready(self._settings, ROOM)

    async def _open(self, desk: Desk) -> None:
        await self._journal.caught_up(desk.partition)
        if self._desks.get(desk.partition) is desk and desk.last is not None:
            await self._emit_again(desk, desk.last[1].incident, desk.last[1].seq)
        desk.opened.set()

    async def _emit_again(self, desk: Desk, incident: str, seq: int) -> None:
        """Emits a partition's last entry once more: whoever journaled it may have died before its notices were out.

        Every earlier one was emitted before the next was journaled.
        """
        if desk.last is not None and (desk.last[1].incident, desk.last[1].seq) == (incident, seq):
            before, entry, parent = desk.last
            if (published := self._policies.get(entry.policy)) is not None:
                policy = policies.compile(published)
                await self._emit(notices_of(before, entry, policy), drafts_of(before, entry, policy), entry, parent)
            else:
                log.error("the notices of %s/%d are not emitted again: policy %s cannot be used (any more)",
                          entry.incident, entry.seq, entry.policy)  # fmt: skip

    def _awaited(self, partition: int, incident: str, wake_id: str) -> bool:
        desk = self._desks.get(partition)
        return desk is not None and desk.state(incident).entry_of(SOURCE, wake_id) is None

    # --- the way of an input

    async def _handle(self, record: Record) -> bool:
        try:
            event = codec.decode_input(record)
            given = await self._signed(event, _journaled_input(event, record, self._settings.sandbox))
        except Undecodable as error:
            await self._dead.bury(record, error)
            return True
        home = connect.partition_for(event.subject or "", self._settings.partitions)
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
        policy = await self._policy()
        while self._desks.get(desk.partition) is desk:
            before = desk.state(incident)
            if (seq := before.entry_of(given.source, given.id)) is not None:
                await self._emit_again(desk, incident, seq)
                return True
            try:
                decided = decide(before, self._surrounded(before, given, policy), policy)
            except Exception as error:
                log.exception("an input of %s cannot be decided on", incident)
                await self._dead.bury(record, Undecodable("undecidable", f"{type(error).__name__}: {error}"))
                return True
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
            if written.offset == desk.next_offset and desk.apply(decided.entry, written.offset, parent):
                self._clockwork.note(desk.partition, decided.entry)
            elif desk.state(incident).entry_of(given.source, given.id) is None:
                # someone else wrote to this journal: fold what they wrote, then see whether ours was the first
                await self._journal.caught_up(desk.partition)
                if desk.state(incident).entry_of(given.source, given.id) is None:
                    continue
            await self._emit(decided.notices, decided.drafts, decided.entry, parent)
            return True
        return False

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
        """Each rendering once, and the notices, one copy to every partition."""
        made = [*(r for notice in notices for r in notice.renderings), *drafts]
        renderings = {r.sha256: r for r in made}.values()
        write = self._emitter.write
        await asyncio.gather(
            *(
                write(topics.RENDERINGS, r, id=r.sha256, subject=entry.incident, key=r.sha256, parent=parent)
                for r in renderings
            ),
            *(
                write(
                    topics.notices(notice.lane),
                    notice,
                    id=notice.notice_id,
                    subject=entry.incident,
                    time=entry.at,
                    partition=partition,
                    parent=parent,
                )
                for notice in notices
                for partition in range(self._settings.partitions)
            ),
        )


async def _read_all(follower: Follower, partitions: Iterable[int]) -> None:
    await follower.start()
    await follower.assign(partitions)
    await asyncio.gather(*(follower.caught_up(partition) for partition in partitions))


def _journaled_input(event: Event[Message], record: Record, sandbox: bool) -> JournaledInput:
    """The input as it goes into the journal. Raises Undecodable for a virtual clock outside sandbox mode."""
    virtual = None
    if "virtualtime" in event.extensions:
        if not sandbox:
            raise Undecodable(
                "virtual_clock_refused", "virtualtime is accepted in sandbox mode only (TOCSIN_SANDBOX=1)"
            )
        try:
            virtual = VirtualClock.model_validate(
                {"time": event.extensions["virtualtime"], "speed": event.extensions.get("virtualspeed", "1")}
            )
        except ValueError as error:
            raise Undecodable("invalid_field", f"virtualtime, virtualspeed: {error}") from None
    return JournaledInput(
        id=event.id,
        source=event.source,
        type=event.type,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        appended_at=record.timestamp,
        occurred_at=event.time,
        virtual=virtual,
        data=json.loads(event.data.model_dump_json(exclude_none=True)),
    )


def build(settings: Settings) -> faust.App:
    """The room's Faust app, wired."""
    return Decide(settings).app
