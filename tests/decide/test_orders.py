"""Corrections and retractions: they reach exactly those who got the wrong text, and say what was wrong."""

from schemas.base import Channel, Severity
from schemas.command import Correct, PublishNow, Retract
from schemas.incident import Consequences, Facts, IncidentResolved, IncidentUpdated
from schemas.journal import CommandRefused, NoticeKind
from tests.decide.saying import decisions, opened
from tests.decide.stories import Operator, Story, email_to, notice_to, told

NOW = Consequences(now="Cards are declined.")
MANAGER = Operator("maria", ("incident-manager",))
INTERN = Operator("ines", ("intern",))


def wrong() -> Story:
    story = Story()
    story.take(opened(summary="Cards fail in Europe.", consequences=NOW), after=0)
    return story


def correction(seq: int = 1, **facts: object) -> Correct:
    said = Facts.model_validate(facts or {"summary": "Cards fail in America."})
    return Correct(seq=seq, facts=said, explanation="We named the wrong region.")


def test_a_correction_names_the_entry_whose_readers_it_reaches():
    story = wrong()
    story.take(IncidentUpdated(summary="Something else."), after=10)
    out = story.take(correction(), after=1, by=MANAGER)
    assert {n.corrects for n in out.notices} == {1}
    assert {n.kind for n in out.notices} == {NoticeKind.CORRECTION}
    assert told(out)["customers"].reason == "ordered by maria: it reaches those who got the wrong text"


def test_a_correction_says_what_was_wrong_and_what_is_right_on_every_channel_they_were_told_on():
    out = wrong().take(correction(), after=1, by=MANAGER)
    text = email_to("customers", out).text
    assert "We named the wrong region." in text
    assert "Cards fail in America." in text
    assert set(told(out)["customers"].renderings) == {Channel.EMAIL, Channel.SMS}


def test_later_words_that_said_the_same_wrong_thing_are_corrected_too():
    story = wrong()
    story.passes(44)  # "unchanged" said it again, and to whoever came meanwhile
    out = story.take(correction(), after=1, by=MANAGER)
    seqs = sorted(n.corrects for n in out.notices if n.notice_id and n.audience == "customers")
    assert len(seqs) == 2
    assert len({n.notice_id for n in out.notices}) == len(out.notices)


def test_what_is_right_is_known_from_then_on():
    story = wrong()
    story.take(correction(), after=1, by=MANAGER)
    end = story.ends(IncidentResolved(summary="Cards work again."), after=10)
    assert story.state.known.summary == "Cards work again."
    assert "Europe" not in email_to("customers", end).text


def test_a_correction_of_a_severity_changes_it():
    story = wrong()
    story.take(correction(severity="minor"), after=1, by=MANAGER)
    assert story.state.known.severity is Severity.MINOR


def test_a_retraction_takes_back_what_was_said_and_leaves_what_was_said_before():
    story = wrong()
    story.take(IncidentUpdated(summary="All data is lost."), after=10)
    seq = max(w.seq for w in story.state.told["customers"].words)
    out = story.take(Retract(seq=seq, explanation="That was meant for a drill."), after=1, by=MANAGER)
    assert {n.corrects for n in out.notices if n.audience == "customers"} == {seq}
    assert "That was meant for a drill." in email_to("customers", out).text
    assert story.state.known.summary == "Cards fail in Europe."


def test_an_entry_that_told_nobody_cannot_be_corrected():
    refused = wrong().take(correction(seq=99), after=1, by=MANAGER)
    assert decisions(refused, CommandRefused)[0].reason == "entry 99 told nobody anything"
    assert not refused.notices


def test_who_may_not_correct_changes_nothing():
    story = wrong()
    refused = story.take(correction(), after=1, by=INTERN)
    assert "incident-manager" in decisions(refused, CommandRefused)[0].reason
    assert story.state.known.summary == "Cards fail in Europe."


def test_there_may_be_nothing_to_publish_now():
    refused = wrong().take(PublishNow(), after=1, by=MANAGER)
    assert decisions(refused, CommandRefused)[0].reason == "nothing is put off or held back"


def test_those_told_at_a_level_are_corrected_at_that_level():
    out = wrong().take(correction(technical_detail="Shard 7."), after=1, by=MANAGER)
    assert "Shard 7." in email_to("technical", out).text
    assert "Shard 7." not in str(notice_to("customers", out).renderings)
