"""Running an incident again: the clock is an input, in its order, and the same run gives the same bytes."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest

from pipeline.recorded import read
from pipeline.replay.journal import replay
from pipeline.replay.past import pasts_of
from pipeline.replay.rerun import BOUND, CLOCK, Rerun
from pipeline.replay.signing import SOURCE as APPROVALS
from schemas.base import Channel
from schemas.command import Wake, WakeReason
from schemas.journal import AudienceSilent, CommandRefused, NoticeDecided, NoticeHeld, NoticeKind, WakeScheduled
from tests.paths import REPOSITORY
from tests.replay.trials import QUIET_PAST, at, conditions, news, opened, over, past, policy, run

OURS = sorted((REPOSITORY / "deploy" / "incidents").glob("*.json"))


def entries(one: Rerun) -> list:
    return [turn.entry for turn in one.turns]


def kinds(one: Rerun, audience: str) -> list[NoticeKind]:
    decisions = [decision for entry in entries(one) for decision in entry.decisions]
    return [d.kind for d in decisions if isinstance(d, NoticeDecided) and d.audience == audience]


def test_what_the_team_said_and_what_the_clock_called_come_in_the_order_of_their_times() -> None:
    found = entries(run(QUIET_PAST))
    assert [entry.seq for entry in found] == list(range(1, len(found) + 1))
    assert all(earlier.at <= later.at for earlier, later in pairwise(found))
    assert {entry.input.source for entry in found} == {"/tocsin/backtest", CLOCK}
    assert sum(entry.input.source != CLOCK for entry in found) == len(QUIET_PAST.events)


def test_every_wake_that_was_asked_for_is_fed_once_at_its_moment() -> None:
    found = entries(run(QUIET_PAST))
    asked = {(d.due, d.reason) for entry in found for d in entry.decisions if isinstance(d, WakeScheduled)}
    woken = [entry for entry in found if entry.input.type == Wake.TYPE]
    called = [(Wake.model_validate(entry.input.data).due, WakeReason(entry.input.data["reason"])) for entry in woken]
    assert set(called) == asked
    assert len(called) == len(set(called))
    assert all(entry.at == due for entry, (due, _) in zip(woken, called, strict=True))


def test_when_the_team_is_silent_the_clock_has_it_said_that_nothing_changed() -> None:
    assert NoticeKind.UNCHANGED in kinds(run(QUIET_PAST), "customers")


def test_what_is_said_at_the_very_moment_of_a_wake_comes_before_it() -> None:
    first = next(d.due for entry in entries(run(QUIET_PAST)) for d in entry.decisions if isinstance(d, WakeScheduled))
    minutes = (first - at(0)).total_seconds() / 60
    found = entries(run(past((0, opened()), (minutes, news("It is the index.")), (minutes + 30, over()))))
    assert [entry.input.source for entry in found if entry.at == first][:1] == ["/tocsin/backtest"]


def test_an_incident_that_never_ends_is_cut_off_and_one_that_ends_is_not() -> None:
    endless = run(past((0, opened())))
    assert endless.cut_off
    assert max(entry.at for entry in entries(endless)) <= at(0) + BOUND
    assert not run(QUIET_PAST).cut_off


def test_the_same_run_gives_the_same_bytes() -> None:
    first, second = (
        [entry.model_dump_json() for entry in entries(run(QUIET_PAST, replace(conditions(), channels=None)))]
        for _ in range(2)
    )
    assert first == second


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.stem)
def test_the_journal_of_a_run_replays_byte_for_byte(path) -> None:
    """So a back-test decides as the running system does: what it journals is what a replay of it decides."""
    (one,) = pasts_of(read([path]))
    under = replace(conditions(), channels=None)
    assert list(replay(entries(run(one, under)), {under.policy.hash: under.policy})) == []


def test_only_what_is_measured_is_rendered_but_every_channel_is_decided_on() -> None:
    found = run(QUIET_PAST)
    made = {r.content.channel for turn in found.turns for n in turn.notices for r in n.renderings}
    decided = {
        c for entry in entries(found) for d in entry.decisions if isinstance(d, NoticeDecided) for c in d.renderings
    }
    assert made == {Channel.SMS, Channel.X}
    assert decided == {Channel.EMAIL, Channel.SMS, Channel.X}, "the channels that this policy names"


def test_surroundings_are_given_once() -> None:
    given = [entry.input.surroundings for entry in entries(run(QUIET_PAST))]
    assert given[0] is not None
    assert set(given[0].census) == set(policy().audiences)
    assert given[1:] == [None] * (len(given) - 1)


def test_nobody_approves_unless_someone_is_said_to() -> None:
    found = entries(run(QUIET_PAST, conditions("enterprise")))
    assert any(isinstance(d, NoticeHeld) for entry in found for d in entry.decisions)
    assert not any(entry.input.source == APPROVALS for entry in found)


def test_with_approvals_what_was_held_goes_out_in_the_words_that_were_approved() -> None:
    found = entries(run(QUIET_PAST, conditions("enterprise", approvals=timedelta(minutes=2))))
    approved = [d for entry in found for d in entry.decisions if isinstance(d, NoticeDecided) and d.approved_by]
    assert {decision.audience for decision in approved} >= {"customers", "public"}
    assert not [d for entry in found for d in entry.decisions if isinstance(d, CommandRefused)]
    assert all(entry.input.signed for entry in found if entry.input.source == APPROVALS)


def test_an_audience_that_is_not_told_has_a_reason() -> None:
    found = entries(run(past((0, opened()), (3, opened()), (9, over()))))
    assert all(d.reason for entry in found for d in entry.decisions if isinstance(d, AudienceSilent))
