"""The running system for tests: a real broker, the rooms as real processes, and sandboxes that keep the truth.

Every wait is for a condition that the system itself shows (a record, a file, a message taken), with a deadline.
"""

import asyncio
import os
import re
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar

from pipeline import policy
from pipeline.broker import connect, topics
from pipeline.broker.kafka import ApacheKafka
from pipeline.broker.process import BrokerProcess
from pipeline.deliver.ledger import Ledger, Told
from pipeline.registrations import registration
from pipeline.sandbox import Sandbox
from pipeline.settings import REPOSITORY, Settings
from pipeline.subscribers import subscribe
from pipeline.supervisor import with_web_port
from pipeline.vault import Vault
from schemas import codec
from schemas import topics as wire
from schemas.base import Channel
from schemas.delivery import DeliveriesEnded, DeliveriesIntended, ParkedOrdered, ReceiptRecorded, Result
from schemas.ids import intent_id
from schemas.incident import IncidentEvent
from schemas.policy import PolicyPublished, hash_of

T = TypeVar("T")
AT = datetime(2026, 3, 1, 9, tzinfo=UTC)
ROOMS = ("decide", "deliver", "record")


async def eventually(probe: Callable[[], Awaitable[T]], within_s: float = 60.0, what: str = "") -> T:
    """The first true answer of `probe`; AssertionError after the deadline, with the last answer."""
    last: Any = None
    try:
        async with asyncio.timeout(within_s):
            while not (last := await probe()):
                await asyncio.sleep(0.1)  # between two looks at a system that runs in other processes
            return last
    except TimeoutError:
        raise AssertionError(f"not within {within_s:.0f} s: {what or probe.__name__}; last: {last!r}") from None


HOURS = (
    ("  quiet hours: {sms: 22:00 to 07:00}\n", ""),
    ("  at most: {email: 20, sms: 5}\n", ""),
    ("minimum gap between updates: 5m", "minimum gap between updates: 0s"),
    ("a resolution must have held for: {critical: 15m, major: 10m}", "a resolution must have held for: {}"),
    ("  audiences: [executives, customers]\n", ""),
)
"""What a policy says of hours and of too much: tests run at any hour, and tell the same few people a great deal."""


def plain_policy(directory: Path) -> PolicyPublished:
    """The policy in `directory`, without the rules by which somebody is told later."""
    documents = dict(policy.load(directory).documents)
    for old, new in HOURS:
        assert old in documents["cadence.yaml"], f"cadence.yaml no longer says {old!r}"
        documents["cadence.yaml"] = documents["cadence.yaml"].replace(old, new)
    return PolicyPublished(name="plain", hash=hash_of(documents), documents=documents)


@dataclass
class Delivered:
    """What the records say became of every intent: `incidents` and `channels` say where each belongs."""

    intended: set[str] = field(default_factory=set)
    incidents: dict[str, str] = field(default_factory=dict)
    channels: dict[str, Channel] = field(default_factory=dict)
    results: dict[str, Result] = field(default_factory=dict)
    unknowns: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)

    @property
    def open(self) -> set[str]:
        """Intents without a terminal outcome."""
        return {i for i in self.intended if i not in self.results or not self.results[i].terminal}

    def of(self, incident: str) -> "Delivered":
        """The same of one incident; of reasons nothing is said."""
        ours = {i for i in self.intended if self.incidents[i] == incident}
        return Delivered(
            ours,
            dict.fromkeys(ours, incident),
            {i: self.channels[i] for i in ours},
            {i: result for i, result in self.results.items() if i in ours},
            Counter({i: n for i, n in self.unknowns.items() if i in ours}),
        )


class Process(Protocol):
    """What is asked of a room's process."""

    @property
    def pid(self) -> int:
        """Its number."""
        ...

    @property
    def returncode(self) -> int | None:
        """How it ended; None while it runs."""
        ...

    async def wait(self) -> int:
        """Returns when it has ended: how."""
        ...

    def send_signal(self, signal: int) -> None:
        """Any signal."""
        ...

    def terminate(self) -> None:
        """SIGTERM."""
        ...

    def kill(self) -> None:
        """SIGKILL."""
        ...


Bear = Callable[[Sequence[str], Mapping[str, str], Path], Awaitable[Process]]


async def _started(command: Sequence[str], env: Mapping[str, str], log: Path) -> Process:
    with log.open("ab") as said:
        return await asyncio.create_subprocess_exec(
            sys.executable, *command,
            cwd=REPOSITORY, env=env, stdin=asyncio.subprocess.DEVNULL, stdout=said, stderr=said,
        )  # fmt: skip


class Fold:
    """Folds delivery records into what became of every intent, the first of each id."""

    def __init__(self) -> None:
        self.found = Delivered()
        self.received: Counter[str] = Counter()
        """How many receipts came for each intent."""
        self._ledgers: dict[int, Ledger] = {}
        self._seen: set[str] = set()

    def apply(self, record: codec.Record) -> None:
        """One record more."""
        event = codec.decode(record)
        if event.id in self._seen:
            return
        self._seen.add(event.id)
        ledger = self._ledgers.setdefault(record.partition, Ledger())
        ledger.apply(event.data)
        self._note(ledger, event.data)

    def _note(self, ledger: Ledger, data: object) -> None:
        found = self.found
        if isinstance(data, DeliveriesIntended):
            made = {intent_id(data.incident, data.seq, r, data.channel) for r in data.recipients}
            found.intended |= made
            found.incidents |= dict.fromkeys(made, data.incident)
            found.channels |= dict.fromkeys(made, data.channel)
        if isinstance(data, ReceiptRecorded):
            self.received[data.intent_id] += 1
        if isinstance(data, DeliveriesEnded):
            for outcome in data.outcomes:
                intent = intent_id(data.incident, data.seq, outcome.recipient, data.channel)
                found.unknowns[intent] += outcome.result is Result.UNKNOWN
                found.reasons[outcome.reason] += 1
                work = ledger.work(Told(data.incident, data.seq, data.channel), outcome.recipient)
                if work is not None and work.result is not None:
                    found.results[intent] = work.result
        if isinstance(data, ParkedOrdered):
            for recipient in data.recipients:
                work = ledger.work(Told(data.incident, data.seq, data.channel), recipient)
                if work is not None and work.result is not None:
                    found.results[intent_id(data.incident, data.seq, recipient, data.channel)] = work.result


class System:
    """One data directory, one broker, one sandbox, and the rooms that a test asks for."""

    def __init__(self, settings: Settings, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        env = {**sandbox.settings_env(), "TOCSIN_DATA_DIR": str(settings.data_dir)}
        env |= {"TOCSIN_PARTITIONS": str(settings.partitions), "TOCSIN_RETRY_BASE_S": "0.2"}
        env |= {"TOCSIN_UNKNOWN_HOLD_S": "0.5", "TOCSIN_SESSION_TIMEOUT_S": str(settings.session_timeout_s)}
        # many tests are about something else and run no record room: the log stands still there, and may
        env["TOCSIN_SEALED_WITHIN_S"] = "3600"
        web = with_web_port(settings.model_copy(update={"web_port": 0}))
        env |= {"TOCSIN_WEB_PORT": str(web.web_port), "TOCSIN_PUBLIC_URL": web.public_url}
        if settings.broker is not None:
            env["TOCSIN_BROKER"] = settings.broker
        self.env = env
        self.settings = Settings(_env_file=None, **{k.removeprefix("TOCSIN_").lower(): v for k, v in env.items()})  # type: ignore[arg-type]
        self.vault = Vault.open(self.settings)
        self.commands = {**{room: ("-m", "agents", room) for room in ROOMS}, "web": ("-m", "pipeline.cli", "web")}
        """How each is started; a test may have its own way."""
        self.bear: Bear = _started
        self.processes: dict[str, Process] = {}
        self._logs = settings.data_dir / "logs"

    # --- processes

    async def start(self, *rooms: str, env: Mapping[str, str] | None = None, worker: str = "1") -> None:
        """Starts rooms and waits until each has its partitions and has folded its past."""
        await asyncio.gather(*(self._start(room, env or {}, worker) for room in rooms))

    async def _start(self, room: str, env: Mapping[str, str], worker: str) -> None:
        await self.spawn(room, env, worker)
        await self.ready(room)

    async def spawn(self, room: str, env: Mapping[str, str] | None = None, worker: str = "1") -> None:
        """Starts a room without waiting."""
        self._logs.mkdir(parents=True, exist_ok=True)
        self._ready_file(room).unlink(missing_ok=True)
        given = {**os.environ, **self.env, "TOCSIN_WORKER_ID": worker, **(env or {})}
        log = self._logs / f"{room}-{worker}.log"
        self.processes[f"{room}-{worker}"] = await self.bear(self.commands[room], given, log)

    async def ready(self, room: str) -> None:
        """Returns when the room has said that it is ready."""

        async def said() -> bool:
            return self._ready_file(room).exists()

        await eventually(said, 60, f"{room} is ready; its log: {self.log(room)}")

    async def ended(self, room: str, worker: str = "1", within_s: float = 60) -> int:
        """Waits until a room's process has ended; its exit status (negative: the signal)."""
        async with asyncio.timeout(within_s):
            return await self.processes.pop(f"{room}-{worker}").wait()

    async def stop(self, room: str, sig: signal.Signals = signal.SIGTERM, worker: str = "1") -> int:
        """Signals a room's process and waits until it has ended."""
        process = self.processes[f"{room}-{worker}"]
        if process.returncode is None:
            process.send_signal(sig)
        return await self.ended(room, worker)

    async def stop_all(self) -> None:
        """SIGTERM to all; SIGKILL to what has not ended after 30 s."""
        for process in self.processes.values():
            if process.returncode is None:
                process.terminate()
        for process in self.processes.values():
            try:
                await asyncio.wait_for(process.wait(), 30)
            except TimeoutError:
                process.kill()
                await process.wait()
        self.processes.clear()

    def fired(self, failpoint: str) -> bool:
        """Whether a process has killed itself at this failpoint."""
        return (self.settings.data_dir / "run" / f"fired.{failpoint}").exists()

    def arm(self, failpoints: Mapping[str, int]) -> None:
        """From now on the rooms that were started with TOCSIN_FAILPOINT=@ die there, once, each at the pass given."""
        run = self.settings.data_dir / "run"
        for name in failpoints:
            (run / f"fired.{name}").unlink(missing_ok=True)
        scratch = run / "failpoint.new"
        scratch.write_text("\n".join(f"{name}:{nth}" for name, nth in failpoints.items()))
        scratch.replace(run / "failpoint")

    def log(self, room: str, worker: str = "1", whole: bool = False) -> str:
        """The end of a room's log, or the whole of it."""
        path = self._logs / f"{room}-{worker}.log"
        said = path.read_text(errors="replace") if path.exists() else ""
        return said if whole else said[-3000:]

    def _ready_file(self, room: str) -> Path:
        return self.settings.data_dir / "run" / f"{room}.ready"

    # --- input

    async def publish_policy(self, shipped: bool) -> None:
        """Publishes the policy that ships, or one that treats everyone alike at every hour of the day."""
        directory = self.settings.policy_dir
        published = policy.load(directory) if shipped else plain_policy(directory)
        await self.write(
            codec.encode(wire.POLICIES, published, id=published.hash, source="/tests", subject=published.name)
        )

    async def write(self, *records: codec.Outgoing) -> None:
        """Writes records; returns when the broker has them."""
        async with connect.open_producer(self.settings) as producer:
            for record in records:
                await connect.send(producer, record)

    async def subscribe(self, subscriber: str, **fields: str) -> None:
        """Subscribes one; fields as in the CSV form."""
        await self.write(*self._subscribing(subscriber, fields))

    async def subscribe_all(self, people: Mapping[str, Mapping[str, str]]) -> None:
        """Subscribes many at once, by their ids; the records of each in their order."""
        async with connect.open_producer(self.settings) as producer:

            async def put(subscriber: str, fields: Mapping[str, str]) -> None:
                for record in self._subscribing(subscriber, fields):
                    await connect.send(producer, record)

            await asyncio.gather(*(put(subscriber, fields) for subscriber, fields in people.items()))

    def _subscribing(self, subscriber: str, fields: Mapping[str, str]) -> Iterable[codec.Outgoing]:
        lists = {
            name: text.split(";") for name, text in fields.items() if name in {"audiences", "channels", "components"}
        }
        row = registration({"audiences": ["customers"], **fields, **lists})
        return subscribe(self.vault, row, subscriber, AT)

    async def publish(self, incident: str, *events: IncidentEvent, start: int = 0) -> None:
        """Publishes incident events with ids INCIDENT/0, /1, …"""
        await self.write(
            *(
                codec.encode(
                    wire.INCIDENT_EVENTS, event, id=f"{incident}/{start + n}", source="/tests", subject=incident
                )
                for n, event in enumerate(events)
            )
        )

    # --- what the records say

    async def read(self, topic: wire.Topic) -> list[codec.Record]:
        """Everything in a topic."""
        return [record async for record in connect.read_all(self.settings, topic.name)]

    async def delivered(self) -> Delivered:
        """Folds the delivery records as they stand."""
        fold = Fold()
        for record in await self.read(wire.DELIVERY_RECORDS_TOPIC):
            fold.apply(record)
        return fold.found

    async def all_settled(self, intents: int, within_s: float = 90) -> Delivered:
        """Waits until this many intents are on record and each has come to a terminal outcome."""

        async def settled() -> Delivered | None:
            found = await self.delivered()
            return found if len(found.intended) >= intents and not found.open else None

        return await eventually(settled, within_s, f"{intents} intents settled; deliver says: {self.log('deliver')}")

    # --- what the sandboxes know

    def link_in_mail_to(self, address: str) -> str:
        """The one-click link of the last mail to `address`, out of its header."""
        mail = next(mail for mail in reversed(self.sandbox.mails) if mail.recipients == (address,))
        found = re.fullmatch("<(http[^>]*)>", mail.header("List-Unsubscribe") or "")
        assert found is not None
        return found[1]

    def mails_by_intent(self) -> Counter[str]:
        """How often each intent's mail was taken."""
        return Counter((mail.message_id or "").strip("<>").split("@")[0] for mail in self.sandbox.mails)

    def texts_by_intent(self) -> Counter[str]:
        """How often each intent's SMS was taken, by the token in its status callback."""
        found: Counter[str] = Counter()
        for text in self.sandbox.texts:
            token = (text.status_callback or "").partition("?d=")[2]
            named = self.vault.read_callback_token(token)
            found[named[0] if named else f"no token: {text.body[:40]}"] += 1
        return found


@asynccontextmanager
async def running(
    broker: BrokerProcess, sandbox: Sandbox, rooms: Iterable[str] = ROOMS, shipped: bool = False, **settings: Any
) -> AsyncIterator[System]:
    """A system on `broker` (started and stopped here), with all topics and a plain policy, or the one that ships."""
    async with AsyncExitStack() as stack:
        await broker.start()
        stack.push_async_callback(broker.stop)
        if isinstance(broker, ApacheKafka):
            settings["broker"] = f"kafka://{broker.bootstrap}"
        given = Settings(
            _env_file=None, data_dir=broker.data_dir, **{"partitions": 3, "session_timeout_s": 10, **settings}
        )
        await topics.ensure(given)
        system = System(given, sandbox)
        stack.push_async_callback(system.stop_all)
        await system.publish_policy(shipped)
        await system.start(*rooms)
        yield system


def channel_counts(found: Delivered) -> Counter[Result]:
    """How many intents ended how."""
    return Counter(found.results.values())
