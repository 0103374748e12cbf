"""kill -9 again and again: one system keeps running, and each round every process of it dies at a line that was drawn.

A round: somebody comes, an incident is told from its beginning to its end to mails, phones and the account (a relay and
Twilio refuse now and then), in the midst of it each process dies and is started again; whoever came leaves by the link
in their mail. When all is settled nobody has heard anything twice, or anything after they had left, and the log holds.
"""

import asyncio
import random
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import aiohttp

from pipeline.audit.checkpoint import checkpoint_path
from pipeline.audit.findings import Result
from pipeline.audit.keys import public_key_path
from pipeline.audit.verify import Vouchers, verify
from pipeline.broker.embedded import EmbeddedBroker
from pipeline.commands.lag import lags
from pipeline.failpoints import NAMES
from pipeline.sandbox import Sandbox
from schemas import topics
from schemas.base import Severity
from schemas.codec import Record
from schemas.incident import ImpactChanged, IncidentOpened, IncidentResolved
from tests.chaos.nursery import nursery
from tests.chaos.tail import Tail, tail
from tests.chaos.verdict import Verdict, judge
from tests.system import Delivered, Fold, System, eventually, running

MAILS, PHONES = 12, 3
PASSES = {
    "decide.before_journal": 3,
    "decide.after_journal": 3,
    "decide.before_renderings": 3,
    "decide.after_notices": 3,
    "fanout.after_batches": 8,
    "fanout.after_place": 8,
    "deliver.after_intent": 12,
    "deliver.before_effect": 12,
    "deliver.after_effect": 12,
    "deliver.after_wake": 2,
    "deliver.after_record": 12,
    "deliver.after_woken": 2,
    "deliver.after_receipt": 2,
    "deliver.in_keeping": 1,
    "deliver.after_keeping": 1,
    "record.after_append": 3,
    "record.after_segments": 3,
    "record.after_checkpoint": 1,
    "web.before_answer": 3,
}
"""How often each is passed in a round, at the least: at which pass one dies is drawn from these."""
assert PASSES.keys() == NAMES.keys() - {"record.key_introduced"}, "a change of key is in tests/audit/test_rotation"
WITHIN_S = 240.0
ROOMS = ("decide", "deliver", "record", "web")
ARMED = {"TOCSIN_FAILPOINT": "@"}


Points = dict[str, int]
"""One failpoint of each process, and at which pass it dies there."""


@dataclass(frozen=True)
class Round:
    """What a round came to. `verdict`: of all rounds of its system up to and including this one."""

    recovery_s: dict[str, float]
    """From each death until all was settled, by failpoint."""
    verdict: Verdict
    mails_twice: int
    unknown: int
    in_vain: int
    """How often whoever left had asked and nobody had answered."""

    def __str__(self) -> str:
        verdict = self.verdict
        return (
            f"kill -9 at {', '.join(self.recovery_s)}: fired {len(self.recovery_s)}, lost {verdict.lost}, "
            f"duplicated SMS and posts {verdict.duplicated_once_only}, mails {self.mails_twice} "
            f"(beyond recorded unknowns {verdict.beyond_recorded_unknowns}), unknown {self.unknown}, "
            f"asked in vain {self.in_vain}, recovered in {max(self.recovery_s.values()):.1f} s"
        )


def room_of(failpoint: str) -> str:
    """The process that passes it."""
    room = failpoint.partition(".")[0]
    return "deliver" if room == "fanout" else room


def drawn(count: int, seed: int) -> list[Points]:
    """So many rounds: of each process all failpoints as often, in an order that was drawn, at passes that were."""
    random_ = random.Random(seed)

    def order(room: str) -> Iterator[str]:
        names = [name for name in PASSES if room_of(name) == room]
        while True:
            yield from random_.sample(names, len(names))

    orders = [order(room) for room in ROOMS]
    return [{name: random_.randint(1, PASSES[name]) for name in map(next, orders)} for _ in range(count)]


def intents_of(number: int) -> int:
    """How many messages are intended in the round of this number.

    Mail and X hear of all three events, SMS of the beginning and the end; of everyone who came in this round, and of
    those who came in earlier ones and left, it is put on record that they are told, or not.
    """
    return 3 * (MAILS + number + 1) + 2 * PHONES


class Rounds:
    """A system that is killed again and again."""

    def __init__(self, system: System, client: aiohttp.ClientSession) -> None:
        self._system = system
        self._client = client
        self._fold = Fold()
        self._sealed: list[tuple[bytes | None, bytes | None]] = []
        self._records: Tail
        self._log: Tail
        self._number = 0
        self._mails_twice = 0
        self._unknown = 0

    @property
    def _found(self) -> Delivered:
        return self._fold.found

    def follow(self, records: Tail, log: Tail) -> None:
        """Where what happened is read."""
        self._records, self._log = records, log

    def note(self, record: Record) -> None:
        """A delivery record."""
        self._fold.apply(record)

    def seal(self, record: Record) -> None:
        """An entry of the log."""
        self._sealed.append((record.value, dict(record.headers).get("ce_root")))

    async def round(self, points: Points) -> Round:
        """One round. AssertionError where a fault never fired, or something does not hold."""
        self._number += 1
        number, system = self._number, self._system
        system.arm(points)
        await system.subscribe(f"guest-{number}", email=f"guest{number}@example.com")
        dying = [asyncio.create_task(self._died(name)) for name in points]
        leaving = asyncio.create_task(self._leave(number))
        await self._tell(number)
        try:
            died = dict(zip(points, await asyncio.gather(*dying), strict=True))
            in_vain = await leaving
            await eventually(lambda: self._settled(number), WITHIN_S)
        except (AssertionError, TimeoutError) as error:
            raise AssertionError(f"round {number}, {points}: {self._lacks(number)}") from error
        finally:
            for task in (*dying, leaving):
                task.cancel()
        now = monotonic()
        took = {name: now - at for name, at in died.items()}
        await self._verified()
        self._nobody_heard_after_leaving()
        verdict = judge(system, self._found, "kill -9", fired=len(died), recovery_s=max(took.values()))
        verdict.hold()
        twice, unknown = verdict.duplicated_mails - self._mails_twice, verdict.unknown - self._unknown
        self._mails_twice, self._unknown = verdict.duplicated_mails, verdict.unknown
        return Round(took, verdict, twice, unknown, in_vain)

    async def _died(self, failpoint: str) -> float:
        """Waits until a process has died there, and starts it again; when it died."""
        room = room_of(failpoint)
        status = await self._system.ended(room, within_s=WITHIN_S)
        at = monotonic()
        assert status == -signal.SIGKILL, f"{room} ended by itself: {self._system.log(room)}"
        assert self._system.fired(failpoint), f"{room} died, and not at {failpoint}"
        await self._system.spawn(room, ARMED)
        return at

    async def _tell(self, number: int) -> None:
        sandbox = self._system.sandbox
        sandbox.fault("smtp", "refuse", stage="rcpt", code=450, times=2)
        sandbox.fault("twilio", "error", code=20429)
        await self._system.publish(
            f"INC-{number}",
            IncidentOpened(
                title=f"Payments {number} fail", severity=Severity.MAJOR, summary=f"One payment in {number + 2} fails."
            ),
            ImpactChanged(severity=Severity.CRITICAL, summary=f"Now all payments of shop {number} fail."),
            IncidentResolved(summary=f"Payments {number} work again.", done=f"Change {number} was taken back."),
        )

    async def _leave(self, number: int) -> int:
        """Leaves by the link in the mail of the end, and asks until somebody has answered; how often in vain.

        What was overtaken by the end is not told any more, so that not every guest has three mails.
        """
        address, in_vain = f"guest{number}@example.com", 0
        mails = self._system.sandbox.mails

        def told() -> bool:
            return any(mail.recipients == (address,) and f"Change {number} was taken" in mail.text for mail in mails)

        await self._system.sandbox.wait_for(told, timeout=WITHIN_S)
        link = self._system.link_in_mail_to(address)
        while True:
            try:
                async with self._client.post(link, data={"List-Unsubscribe": "One-Click"}) as response:
                    if response.status == 200:
                        return in_vain
            except aiohttp.ClientError:
                pass  # it died, or does not listen yet
            in_vain += 1
            await asyncio.sleep(0.2)

    async def _settled(self, number: int) -> bool:
        """Every intent of this round has its end, and every receipt that was answered is on record."""
        await self._records.read_on()
        return not self._lacks(number)

    def _lacks(self, number: int) -> str:
        found = self._found
        ours = {intent for intent, incident in found.incidents.items() if incident == f"INC-{number}"}
        unheard = [i for i, count in self._answered().items() if self._fold.received[i] < count]
        if len(ours) >= intents_of(number) and not ours & found.open and not unheard:
            return ""
        still = {f"{found.channels[i]} {found.results.get(i)}" for i in ours & found.open}
        lacks = f"{len(ours)} of {intents_of(number)} intents, {still or 'none'} open"
        return f"{lacks}, {len(unheard)} receipts not on record"

    def _answered(self) -> dict[str, int]:
        """How many different statuses of each intent's SMS were answered with success."""
        said: dict[str, set[tuple[str, str]]] = {}
        for callback in self._system.sandbox.callbacks:
            if callback.http_status == 204:
                named = self._system.vault.read_callback_token(callback.url.partition("?d=")[2])
                said.setdefault(named[0] if named else "", set()).add((callback.sid, callback.status))
        return {intent: len(statuses) for intent, statuses in said.items()}

    async def _verified(self) -> None:
        """The log holds everything, and is signed for up to its end."""

        async def whole() -> bool:
            if (await lags(self._system.settings))["record"]:
                return False
            await self._log.read_on()
            result = self._verify()
            assert result.ok, "\n".join(map(str, result.findings))
            return result.signed == result.entries

        await eventually(whole, WITHIN_S, "the log holds everything and is signed for")

    def _verify(self) -> Result:
        directory = self._system.settings.data_dir
        vouchers = Vouchers(checkpoint_path(directory).read_bytes(), public_key_path(directory).read_text())
        return verify(self._sealed, vouchers, voids_allowed=True)

    def _nobody_heard_after_leaving(self) -> None:
        for mail in self._system.sandbox.mails:
            if mail.recipients[0].startswith("guest"):
                came = mail.recipients[0].removeprefix("guest").partition("@")[0]
                intent = (mail.message_id or "").strip("<>").split("@")[0]
                assert self._found.incidents[intent] == f"INC-{came}", f"{mail.recipients} heard after they had left"


@asynccontextmanager
async def killed_again_and_again(directory: Path) -> AsyncIterator[Rounds]:
    """A fresh system on the embedded broker, every process of it armed."""
    async with AsyncExitStack() as stack:
        sandbox = await stack.enter_async_context(Sandbox(x_posts_per_window=1_000_000))
        system = await stack.enter_async_context(running(EmbeddedBroker(directory), sandbox, ()))
        system.bear = (await stack.enter_async_context(nursery())).bear
        stack.push_async_callback(system.stop_all)
        system.commands["deliver"] = ("-m", "tests.chaos.short_stretches", "deliver")
        await system.start(*ROOMS, env=ARMED)
        for n in range(MAILS):
            await system.subscribe(f"mail-{n}", email=f"p{n}@example.com")
        for n in range(PHONES):
            await system.subscribe(f"sms-{n}", phone=f"+1415555{2600 + n}")
        await system.subscribe("account", x_handle="status", audiences="public")
        rounds = Rounds(system, await stack.enter_async_context(aiohttp.ClientSession()))
        records = tail(system.settings, topics.DELIVERY_RECORDS_TOPIC, rounds.note)
        log = tail(system.settings, topics.AUDIT_LOG, rounds.seal)
        rounds.follow(await stack.enter_async_context(records), await stack.enter_async_context(log))
        yield rounds
