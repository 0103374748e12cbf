"""A story: what a seed lets happen in a world, rule by rule, and how it is brought to its end."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from pipeline.subscribers import event_record, key_record
from schemas import codec, topics
from schemas.base import Channel
from schemas.codec import Outgoing
from schemas.ids import derived
from schemas.incident import (
    ImpactChanged,
    IncidentEvent,
    IncidentOpened,
    IncidentReopened,
    IncidentResolved,
    IncidentUpdated,
    MilestoneReached,
    MonitoringStarted,
)
from schemas.policy import PolicyPublished
from schemas.receipt import KeywordReceived
from schemas.subscriber import Erased, Restarted, Unsubscribed
from tests.sim import aftermath, checks, policies
from tests.sim.log import PARTITIONS
from tests.sim.people import Person, people
from tests.sim.process import CHANNELS, Process
from tests.sim.provider import VAULT
from tests.sim.world import World

SEVERITIES = ("minor", "major", "critical")
SOURCE = "/upstream"
FORGOTTEN_EVERY = 4


class Story:
    """What happens in one world. Each rule is something that the outside does, or that breaks."""

    def __init__(self, world: World) -> None:
        self.world, self.random = world, world.random
        self.people = self.random.sample(people(), self.random.choice((1, 2, 2, 2, 3, 3, 5)))
        self.incidents = ("INC-1", "INC-2", "INC-3")[: self.random.choice((1, 1, 1, 1, 2, 2, 3))]
        self.open: set[str] = set()
        self.said: list[Outgoing] = []
        self.number = 0

    async def __call__(self) -> None:
        world, random = self.world, self.random
        for person in self.people:
            for record in person.records:
                world.log.append(record)
        if random.random() < 0.9:
            self.publish(policies.published()[0])
        world.begin()
        if random.random() < 0.5:
            await asyncio.sleep(2)
        for channel in CHANNELS:
            self._trouble(channel, random.choice((0, 0, 60, 600)))
        rules = [*RULES]
        for rule in random.choices(rules, [RULES[rule] for rule in rules], k=random.choice((10, 10, 15, 15, 20, 40))):
            rule(self)
            await asyncio.sleep(self._gap_s())
        await self._ends()
        checks.everything(world)
        if world.seed % FORGOTTEN_EVERY == 0:
            await aftermath.forgotten(world, self.said)

    def _gap_s(self) -> float:
        """Mostly in the middle of what is under way."""
        drawn = self.random.random()
        if drawn < 0.7:
            return drawn * 0.05
        return self.random.choice((0.5, 3.0, 20.0)) if drawn < 0.95 else self.random.choice((90.0, 700.0))

    async def _ends(self) -> None:
        """No more faults. Every incident is over, and time runs on until all is quiet."""
        world = self.world
        world.calm = True
        for process in world.processes:
            process.dies_at = None
        self.publish(policies.published()[0])
        await asyncio.sleep(60)
        for incident in self.incidents:
            self.say(incident, IncidentResolved(done="It was mended."))
        for _ in range(2):
            await world.rest()
            await asyncio.sleep(3600)
            for process in world.processes:
                process.tick()

    # --- upstream

    def say(self, incident: str, event: IncidentEvent, partition: int | None = None) -> None:
        """Upstream says it."""
        self.number += 1
        told = codec.encode(
            topics.INCIDENT_EVENTS,
            event,
            id=f"{self.world.seed}-{self.number}",
            source=SOURCE,
            subject=incident,
            partition=partition,
        )
        self.said.append(told)
        self.world.log.append(told)

    def next_word(self, incident: str) -> IncidentEvent:
        """What may be said of it next."""
        severity = self.random.choice(SEVERITIES)
        if incident not in self.open:
            self.open.add(incident)
            again = any(said.key == incident.encode() for said in self.said)
            return IncidentReopened() if again else IncidentOpened(title="Cards fail", severity=severity)
        match self.random.randrange(6):
            case 0 | 1:
                self.open.discard(incident)
                return IncidentResolved(done="It was mended.")
            case 2:
                return ImpactChanged(severity=severity, summary=f"It is {severity} now.")
            case 3:
                return MilestoneReached(milestone=f"Step {self.number} is done.")
            case 4:
                return MonitoringStarted(summary="We watch it.")
            case _:
                return IncidentUpdated(summary=f"News {self.number}.")

    def ingest(self) -> None:
        incident = self.random.choice(self.incidents)
        self.say(incident, self.next_word(incident))

    def duplicate(self) -> None:
        if self.said:
            self.world.fired["duplicates"] += 1
            self.world.log.append(self.random.choice(self.said))

    def reorder(self) -> None:
        """Two come the wrong way round; or one by a partition that is not the incident's."""
        incident = self.random.choice(self.incidents)
        self.world.fired["out of order"] += 1
        words = [self.next_word(incident), self.next_word(incident)]
        astray = self.random.randrange(PARTITIONS) if self.random.random() < 0.3 else None
        for word in reversed(words):
            self.say(incident, word, astray)

    # --- people

    def opt_out(self) -> None:
        person = self.random.choice(self.people)
        channel = self.random.choice(person.channels)
        if channel is Channel.SMS and self.random.random() < 0.5:
            self._stop(person)
        elif self.random.random() < 0.1:
            self._erase(person)
        else:
            self._heard(person, Unsubscribed(channel=channel, via="one-click"))

    def leave_in_time(self) -> None:
        """There is news, the provider is slow, and somebody leaves while their message waits for its turn."""
        channel = self.random.choice(CHANNELS)
        self.world.truth.slow[channel] = self.world.now() + timedelta(seconds=20)
        self.ingest()
        there = [person for person in self.people if channel in person.channels]
        if there:
            gone, in_s = self.random.choice(there), self.random.uniform(0.05, 3)
            self.world.loop.call_later(in_s, self._heard, gone, Unsubscribed(channel=channel, via="one-click"))

    def come_back(self) -> None:
        person = self.random.choice(self.people)
        if Channel.SMS in person.channels and person.id in self.world.truth.stopped:
            self.world.truth.stopped.discard(person.id)
            self._heard(person, Restarted(channel=Channel.SMS))

    def _stop(self, person: Person) -> None:
        """STOP: the provider knows at once, and its word of it comes a little later, to every partition."""
        self.world.truth.stopped.add(person.id)
        self.world.fired["stopped"] += 1
        heard = KeywordReceived(
            channel=Channel.SMS,
            address_token=VAULT.address_token(Channel.SMS, person.phone or ""),
            keyword="STOP",
            provider_id=derived("stop", self.world.seed, person.id, self.number),
            at=self.world.now(),
        )
        for partition in range(PARTITIONS):
            record = codec.encode(
                topics.PROVIDER_RECEIPTS, heard, id=heard.provider_id, source="/sim", partition=partition
            )
            self.world.loop.call_later(self.random.uniform(0, 2), self.world.log.append, record)

    def _erase(self, person: Person) -> None:
        self.world.fired["erased"] += 1
        self._heard(person, Erased())
        self.world.log.append(key_record(person.id, None, self.world.now()))

    def _heard(self, person: Person, event: Any) -> None:
        self.world.log.append(event_record(person.id, event, self.world.now()))

    # --- what is decided under

    def publish(self, published: PolicyPublished) -> None:
        self.world.log.append(
            codec.encode(topics.POLICIES, published, id=published.hash, source="/sim", subject=published.name)
        )

    def reload_policy(self) -> None:
        published = self.random.choice((*policies.published(), policies.broken()))
        self.world.fired["broken policies" if published is policies.broken() else "policies"] += 1
        self.publish(published)

    # --- what breaks

    def _anyone(self) -> Process:
        return self.random.choice(self.world.processes)

    def crash(self) -> None:
        """A worker dies at a step that is still to come, wherever that is."""
        if self.world.processes:
            process = self._anyone()
            process.dies_at = process.steps + self.random.randint(1, 40)

    def stall(self) -> None:
        """A worker stops for a while, and wakes up where it was."""
        if self.world.processes:
            self._anyone().pause(self.random.choice((0.5, 6.0, 14.0, 45.0)))

    def rebalance(self) -> None:
        self.random.choice(list(self.world.groups.values())).rebalance()

    def trouble(self) -> None:
        """A provider refuses, is slow, or leaves one in the dark."""
        self._trouble(self.random.choice(CHANNELS), self.random.choice((2, 30, 300)))

    def _trouble(self, channel: Channel, for_s: float) -> None:
        self.world.truth.trouble[channel] = self.world.now() + timedelta(seconds=for_s)

    def replay(self) -> None:
        """While everything goes on, the journal so far is decided on once more."""
        self.world.fired["replayed"] += 1
        checks.replayed(self.world)


Rule = Callable[[Story], None]
RULES: dict[Rule, int] = {
    Story.ingest: 7,
    Story.duplicate: 2,
    Story.reorder: 1,
    Story.opt_out: 4,
    Story.leave_in_time: 2,
    Story.come_back: 1,
    Story.reload_policy: 1,
    Story.crash: 6,
    Story.stall: 3,
    Story.rebalance: 3,
    Story.trouble: 4,
    Story.replay: 1,
}
"""How likely each of them is. Time goes by between any two."""


async def tell(world: World) -> None:
    """The story of a seed."""
    await Story(world)()


def lived(seed: int) -> World:
    """The world of a seed, at its end. Raises Broken where an invariant does not hold."""
    world = World(seed)
    world.run(tell)
    return world
