"""One system for many faults: each has an incident of its own, and people who hear of nothing else."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from time import monotonic

from pipeline.broker.embedded import EmbeddedBroker
from pipeline.sandbox import Sandbox
from schemas import topics
from schemas.base import Severity
from schemas.delivery import Result
from schemas.incident import IncidentOpened
from tests.chaos.nursery import nursery
from tests.chaos.tail import Tail, tail
from tests.chaos.verdict import Verdict, judge
from tests.system import Delivered, Fold, System, eventually, running

WITHIN_S = 180.0


def opened(number: int, title: str = "{} fails", summary: str = "Nothing works.") -> IncidentOpened:
    """What goes wrong with this fault: its title names it, and its component is that of its people."""
    name = f"FAULT-{number}"
    return IncidentOpened(title=title.format(name), severity=Severity.MAJOR, summary=summary, components=(name,))


class Ward:
    """The system, and what its delivery records say so far."""

    def __init__(self, system: System, fold: Fold, records: Tail) -> None:
        self.system = system
        self._fold = fold
        self._records = records
        self._begun: dict[int, float] = {}

    async def people(self, number: int, mails: int = 0, phones: int = 0, x: bool = False) -> int:
        """Subscribes these to the fault's incident; how many messages one notice of it makes."""
        components = f"FAULT-{number}"
        for n in range(mails):
            await self.system.subscribe(
                f"f{number}-mail-{n}", email=f"f{number}-{n}@example.com", components=components
            )
        for n in range(phones):
            await self.system.subscribe(f"f{number}-sms-{n}", phone=phone(number, n), components=components)
        if x:
            await self.system.subscribe(
                f"f{number}-x", x_handle=f"status{number}", audiences="public", components=components
            )
        return mails + phones + x

    def begin(self, number: int) -> None:
        """From now on it is measured how long the fault takes to be got over."""
        self._begun[number] = monotonic()

    async def tell(self, number: int) -> None:
        """Publishes the beginning of the fault's incident."""
        self.begin(number)
        await self.system.publish(f"FAULT-{number}", opened(number))

    async def settled(self, number: int, intents: int) -> Delivered:
        """Returns when so many are intended and each has its end."""

        async def there() -> Delivered | None:
            await self._records.read_on()
            found = self._fold.found.of(f"FAULT-{number}")
            return found if len(found.intended) >= intents and not found.open else None

        return await eventually(there, WITHIN_S, f"fault {number}: {intents} intents settled")

    def fired(self, number: int) -> int:
        """How often a double failed on purpose at this fault's people or words."""
        marks = (f"f{number}-", f"FAULT-{number}", f"+1415555{number:02}")
        return sum(any(mark in fired.subject for mark in marks) for fired in self.system.sandbox.fired())

    def judge(self, number: int, says: str, fired: int) -> Verdict:
        """The verdict over this fault's incident, checked and printed."""
        took = monotonic() - self._begun[number]
        found, incident = self._fold.found, f"FAULT-{number}"
        verdict = judge(self.system, found, f"{number} {says}", fired=fired, recovery_s=took, incident=incident)
        verdict.check()
        return verdict

    def results(self, number: int) -> list[Result]:
        """How the fault's messages ended."""
        return sorted(self._fold.found.of(f"FAULT-{number}").results.values())


def phone(number: int, n: int) -> str:
    """The number of a fault's person."""
    return f"+1415555{number:02}{n:02}"


@asynccontextmanager
async def ward(directory: Path, *rooms: str, **env: str) -> AsyncIterator[Ward]:
    """A ward on the embedded broker, with these rooms."""
    async with AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(Sandbox(x_posts_per_window=1_000_000))
        system = await stack.enter_async_context(running(EmbeddedBroker(directory), sandbox, ()))
        system.bear = (await stack.enter_async_context(nursery())).bear
        stack.push_async_callback(system.stop_all)
        system.env |= env
        await system.start(*rooms)
        fold = Fold()
        records = tail(system.settings, topics.DELIVERY_RECORDS_TOPIC, fold.apply)
        yield Ward(system, fold, await stack.enter_async_context(records))
