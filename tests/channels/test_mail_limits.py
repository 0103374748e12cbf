"""How much mail may go: the gate by itself with a clock of its own, then before a server."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.channels.base import Recipient, Sent
from pipeline.channels.email import EmailSender, EmailSettings, email_settings
from pipeline.channels.mail_limits import Gate, Held, Limit, Limits
from pipeline.sandbox import Sandbox
from schemas.delivery import Result
from tests.channels.samples import envelope, reader
from tests.conftest import MakeSettings


class Watch:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def test_without_limits_everything_goes() -> None:
    gate = Gate(Limits(), Watch())
    assert all(gate.enter("example.com") is None for _ in range(1_000))


def test_a_second_has_as_many_mails_as_the_rate_says_and_the_next_wait_is_named() -> None:
    watch = Watch()
    gate = Gate(Limits(per_s=10), watch)
    assert [gate.enter("a.example") for _ in range(10)] == [None] * 10
    assert gate.enter("b.example") == Held(Limit.ALL, pytest.approx(0.1))
    watch.now += 0.1
    assert gate.enter("b.example") is None
    assert isinstance(gate.enter("a.example"), Held)


def test_a_domain_that_is_full_holds_no_other_one_back_and_uses_nothing_of_the_whole() -> None:
    gate = Gate(Limits(per_s=10, domain_per_s=2), Watch())
    assert [gate.enter("a.example") for _ in range(2)] == [None, None]
    held = [gate.enter("a.example") for _ in range(20)]
    assert {held_up.limit for held_up in held if held_up} == {Limit.DOMAIN}
    assert [gate.enter(f"{n}.example") for n in range(8)] == [None] * 8
    assert gate.enter("z.example") == Held(Limit.ALL, pytest.approx(0.1))


def test_less_than_a_mail_a_second_is_a_mail_now_and_then() -> None:
    watch = Watch()
    gate = Gate(Limits(domain_per_s=0.1), watch)
    assert gate.enter("a.example") is None
    assert gate.enter("a.example") == Held(Limit.DOMAIN, pytest.approx(10.0))
    watch.now += 10
    assert gate.enter("a.example") is None


def test_one_that_ends_lets_the_next_of_its_domain_go() -> None:
    gate = Gate(Limits(domain_at_once=2), Watch())
    assert [gate.enter("a.example") for _ in range(2)] == [None, None]
    held = gate.enter("a.example")
    assert held is not None
    assert held.limit is Limit.AT_ONCE
    assert gate.enter("b.example") is None
    gate.leave("a.example")
    assert gate.enter("a.example") is None


def test_those_sent_back_are_told_to_come_behind_those_sent_back_before() -> None:
    watch = Watch()
    gate = Gate(Limits(domain_per_s=2), watch)
    while gate.enter("a.example") is None:
        pass
    assert gate.retry_after_s(Limit.DOMAIN, "a.example", 10) == pytest.approx(5.5)
    assert gate.retry_after_s(Limit.DOMAIN, "a.example", 10) == pytest.approx(10.5)
    watch.now += 2
    assert gate.enter("a.example") == Held(Limit.DOMAIN, pytest.approx(8.5)), "a new one waits behind them"
    assert gate.enter("a.example", again=True) is None
    watch.now += 100
    assert gate.retry_after_s(Limit.DOMAIN, "a.example", 1) == pytest.approx(0.5)
    watch.now += 1
    assert gate.enter("a.example") is None


def test_a_million_domains_are_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.channels.mail_limits._KEPT_DOMAINS", 100)
    watch = Watch()
    gate = Gate(Limits(domain_per_s=1, domain_at_once=1), watch)
    for n in range(1_000):
        assert gate.enter(f"{n}.example") is None
        gate.leave(f"{n}.example")
        watch.now += 0.1
    assert len(gate._domains) <= 101
    assert not gate._under_way


@given(
    per_s=st.floats(0.1, 100),
    steps=st.lists(st.tuples(st.floats(0, 3), st.integers(1, 30)), min_size=1, max_size=30),
)
def test_no_span_of_time_has_more_mails_than_the_rate_allows(per_s: float, steps: list[tuple[float, int]]) -> None:
    watch = Watch()
    gate = Gate(Limits(per_s=per_s), watch)
    went: list[float] = []
    for pause_s, wanted in steps:
        watch.now += pause_s
        went += [watch.now for _ in range(wanted) if gate.enter("a.example") is None]
    for start, began in enumerate(went):
        for end in range(start, len(went)):
            assert end - start + 1 <= max(1.0, per_s) + (went[end] - began) * per_s + 1e-6


async def sent(
    sandbox: Sandbox, make_settings: MakeSettings, windows: Sequence[Sequence[Recipient]], **limits: float
) -> tuple[list[list[Sent]], float]:
    """What the windows were told, side by side, and the seconds that took."""
    made = email_settings(make_settings(smtp_url=sandbox.smtp_url, **limits))
    assert isinstance(made, EmailSettings)
    sender = EmailSender(replace(made, limit_patience_s=1.0))
    loop = asyncio.get_running_loop()
    begun = loop.time()
    answers = await asyncio.gather(*(sender.send(envelope(), window) for window in windows))
    taken_s = loop.time() - begun
    await sender.close()
    return list(answers), taken_s


async def test_a_window_waits_for_its_rate_and_all_are_told(sandbox: Sandbox, make_settings: MakeSettings) -> None:
    (answers,), taken_s = await sent(sandbox, make_settings, [[reader(n) for n in range(15)]], smtp_per_s=10)
    assert {answer.reason for answer in answers} == {"provider_accepted"}
    assert taken_s >= 0.5
    assert [mail.recipients for mail in sandbox.mails] == [(f"reader{n}@example.com",) for n in range(15)]


async def test_what_a_domain_may_not_have_yet_comes_back_with_a_time_and_the_others_are_told(
    sandbox: Sandbox, make_settings: MakeSettings
) -> None:
    window = [reader(n, address=f"r{n}@{'few' if n % 2 else 'many'}.example") for n in range(12)]
    window += [reader(20 + n, address=f"r{n}@MANY.example") for n in range(6)]
    (answers,), _ = await sent(sandbox, make_settings, [window], smtp_domain_per_s=5)
    few, many = [a for a, r in zip(answers, window, strict=True) if "few" in r.address], answers[-1]
    assert {answer.result for answer in few} == {Result.ACCEPTED}
    assert (many.result, many.reason) == (Result.RETRYABLE, "domain_rate_limited")
    assert many.retry_after_s is not None
    assert many.retry_after_s > 0
    assert len(sandbox.mails) == sum(answer.result is Result.ACCEPTED for answer in answers)


async def test_no_more_mails_of_a_domain_are_under_way_than_may_be(
    sandbox: Sandbox, make_settings: MakeSettings
) -> None:
    windows = [[reader(10 * w + n) for n in range(4)] for w in range(3)]
    answers, _ = await sent(sandbox, make_settings, windows, smtp_domain_at_once=1)
    assert {answer.reason for window in answers for answer in window} == {"provider_accepted"}
    assert len(sandbox.mails) == 12


async def test_a_domain_whose_place_is_taken_for_long_sends_the_others_back(
    sandbox: Sandbox, make_settings: MakeSettings
) -> None:
    sandbox.fault("smtp", "slow", stage="data", seconds=1.5)
    answers, _ = await sent(sandbox, make_settings, [[reader(1)], [reader(2)]], smtp_domain_at_once=1)
    assert sorted(answer.reason for window in answers for answer in window) == [
        "domain_at_once_limited",
        "provider_accepted",
    ]
    assert max(answer.retry_after_s or 0 for window in answers for answer in window) == 1.0


async def test_a_broken_line_gives_back_what_was_under_way(sandbox: Sandbox, make_settings: MakeSettings) -> None:
    made = email_settings(make_settings(smtp_url=sandbox.smtp_url, smtp_domain_at_once=3))
    assert made is not None
    sender = EmailSender(made)
    sandbox.fault("smtp", "refuse", stage="rcpt", code=421)
    await sender.send(envelope(), [reader(n) for n in range(3)])
    answers = await sender.send(envelope(), [reader(n) for n in range(3)])
    assert {answer.reason for answer in answers} == {"provider_accepted"}
    await sender.close()
