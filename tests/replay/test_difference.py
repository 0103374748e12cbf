"""Two policies on one incident, notice by notice."""

from dataclasses import replace

from pipeline.replay.difference import Change, counted, differences
from schemas.base import Channel
from schemas.journal import NoticeKind
from tests.replay.made import sent
from tests.replay.trials import QUIET_PAST, result

BASE = result(QUIET_PAST)
UNCHANGED, RESOLVED = NoticeKind.UNCHANGED, NoticeKind.RESOLVED


def changes(old, new) -> list[tuple[Change, object, object]]:
    (found,) = differences([replace(BASE, sent=tuple(old))], [replace(BASE, sent=tuple(new))])
    return [(one.change, one.old, one.new) for one in found.changes]


def test_a_policy_against_itself_changes_nothing() -> None:
    (found,) = differences([BASE], [BASE])
    assert (found.changes, found.same) == ((), len(BASE.sent))


def test_what_only_one_of_them_tells_is_named() -> None:
    old, new = sent(0, "customers"), sent(0, "public")
    assert changes([old], [new]) == [(Change.ONLY_OLD, old, None), (Change.ONLY_NEW, None, new)]


def test_an_answer_to_the_same_event_is_the_same_notice_however_much_later() -> None:
    old, new = sent(0, event="e1"), sent(90, event="e1")
    assert changes([old], [new]) == [(Change.MOVED, old, new)]


def test_the_end_is_the_same_notice_whatever_called_for_it() -> None:
    old, new = sent(0, kind=RESOLVED, event="e1"), sent(120, kind=RESOLVED)
    assert changes([old], [new]) == [(Change.MOVED, old, new)]


def test_a_heartbeat_nearby_was_moved_and_one_an_hour_away_is_another() -> None:
    old, near, far = sent(60, kind=UNCHANGED), sent(75, kind=UNCHANGED), sent(120, kind=UNCHANGED)
    assert changes([old], [near]) == [(Change.MOVED, old, near)]
    assert [change for change, _, _ in changes([old], [far])] == [Change.ONLY_OLD, Change.ONLY_NEW]


def test_other_channels_and_other_words_are_told_apart() -> None:
    old = sent(0, event="e1")
    by_sms = sent(0, event="e1", channels=(Channel.EMAIL, Channel.SMS), words="w")
    assert changes([old], [by_sms]) == [(Change.OTHER_CHANNELS, old, by_sms)]
    other = sent(0, event="e1", words="w")
    assert changes([old], [other]) == [(Change.OTHER_WORDS, old, other)]


def test_a_notice_is_matched_with_the_nearest_of_its_kind() -> None:
    old = [sent(10, kind=UNCHANGED), sent(40, kind=UNCHANGED)]
    new = [sent(38, kind=UNCHANGED)]
    assert changes(old, new) == [(Change.ONLY_OLD, old[0], None), (Change.MOVED, old[1], new[0])]


def test_the_counts_name_every_way_to_differ() -> None:
    (found,) = differences([replace(BASE, sent=(sent(0),))], [replace(BASE, sent=(sent(0), sent(5, "public")))])
    assert counted([found]) == {
        "same": 1, "only in old": 0, "only in new": 1, "moved in time": 0, "other channels": 0, "other words": 0,
    }  # fmt: skip
