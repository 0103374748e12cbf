"""All real incidents of the corpus, told under the policy that ships."""

import time

import pytest

from pipeline.recorded import read_file
from schemas.journal import NoticeKind
from schemas.rendering import EmailContent, PostContent, SmsContent
from tests.decide.stories import play
from tests.paths import CORPUS, needs_corpus

pytestmark = needs_corpus


@pytest.fixture(scope="module")
def stories():
    return play(read_file(CORPUS / "incidents" / "github-2022-2024.jsonl"))


def test_every_real_incident_is_told_without_an_error(stories):
    assert len(stories) == 399
    assert sum(len(story.decided) for story in stories.values()) >= 2_165


def test_every_message_fits_its_channel(stories):
    for story in stories.values():
        for decided in story.decided:
            for rendering in decided.renderings:
                match rendering.content:
                    case SmsContent(segments=segments):
                        assert segments <= 2
                    case PostContent(weighted_length=weight):
                        assert 0 < weight <= 280
                    case EmailContent(subject=subject):
                        assert len(subject.splitlines()) == 1


def test_every_real_incident_is_told_its_end_to_whoever_was_told_its_start(stories):
    for story in stories.values():
        started = {n.audience for d in story.decided for n in d.notices}
        ended = {n.audience for d in story.decided for n in d.notices if n.closing}
        assert started == ended, story.incident


def test_a_mailbox_keeps_one_thread_per_incident(stories):
    for story in stories.values():
        mails = [r.content for d in story.decided for r in d.renderings if isinstance(r.content, EmailContent)]
        assert len({mail.subject for mail in mails}) == 1


def test_a_backfilled_incident_is_told_once_as_resolved(stories):
    once = [s for s in stories.values() if s.decided[0].notices and s.decided[0].notices[0].closing]
    assert len(once) == 4
    assert all(n.kind is NoticeKind.RESOLVED for story in once for n in story.decided[0].notices)


@pytest.mark.slow
def test_the_whole_corpus_is_decided_within_five_seconds():
    """DESIGN section 6: a back-test of 399 real incidents takes at most 5 s; of our own time, whoever else is busy."""
    events = read_file(CORPUS / "incidents" / "github-2022-2024.jsonl")
    began = time.process_time()
    play(events)
    assert time.process_time() - began < 5
