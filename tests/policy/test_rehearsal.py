"""The rehearsal leaves nothing out that a policy can be asked for."""

from pathlib import Path

from pipeline import policy
from pipeline.decide import rehearse
from schemas.base import Level, Severity
from schemas.command import WakeReason
from schemas.incident import EVENTS, Facts
from schemas.journal import NoticeKind

POLICY = policy.compile(policy.load(Path("regulated")))


def test_every_kind_of_event_is_told() -> None:
    assert {type(event) for event in rehearse._story(Severity.MINOR, {})} == set(EVENTS)


def test_every_kind_of_notice_is_spoken_at_every_level_plain_and_safe() -> None:
    spoken = {(telling.kind, telling.level, telling.safe) for telling, _ in rehearse._occasions(POLICY)}
    assert spoken == {(kind, level, safe) for kind in NoticeKind for level in Level for safe in (False, True)}


def test_every_field_of_an_event_is_said() -> None:
    translated_or_internal = {"translations", "private_to"}
    assert {
        name for name in Facts.model_fields if getattr(rehearse._EVERYTHING, name) is None
    } == translated_or_internal


def test_the_clock_calls_for_every_reason_but_a_promise_that_passes() -> None:
    reasons: set[WakeReason] = set()
    for severity in Severity:
        played = rehearse._Played(POLICY)
        take = played._take

        def listening(data, at, take=take, played=played):  # type: ignore[no-untyped-def]
            take(data, at)
            reasons.update(wake.reason for wake in played.calls)

        played._take = listening  # type: ignore[method-assign]
        played.tell(rehearse._story(severity, {}))
    assert set(WakeReason) - reasons == {WakeReason.PROMISE_DUE}  # the cadence keeps its promises before
