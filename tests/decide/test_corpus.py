"""All real incidents of the corpus, told under the policy that ships."""

from datetime import timedelta
from itertools import pairwise

import pytest

from pipeline.recorded import read_file
from schemas.base import Severity
from schemas.journal import NoticeKind, PromiseKept, PromiseMade
from schemas.rendering import EmailContent, PostContent, SmsContent
from tests.decide.stories import play, told
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
        started = {n.audience for d in story.decided for n in d.notices if n.kind is not NoticeKind.REMINDER}
        ended = {n.audience for d in story.decided for n in d.notices if n.closing}
        assert started == ended, story.incident


def test_a_mailbox_keeps_one_thread_per_incident(stories):
    for story in stories.values():
        templated = {d.notice_id for decided in story.decided for d in told(decided).values() if d.safe}
        mails = [
            rendering.content
            for decided in story.decided
            for notice in decided.notices
            for rendering in notice.renderings
            if isinstance(rendering.content, EmailContent) and notice.notice_id not in templated
        ]
        assert len({mail.subject for mail in mails}) == 1


def test_a_backfilled_incident_is_told_once_as_resolved(stories):
    once = [s for s in stories.values() if s.decided[0].notices and s.decided[0].notices[0].closing]
    assert len(once) == 4
    assert all(n.kind is NoticeKind.RESOLVED for story in once for n in story.decided[0].notices)


def test_every_promise_that_tocsin_made_is_kept(stories):
    for story in stories.values():
        made = [d for decided in story.decided for d in decided.entry.decisions if isinstance(d, PromiseMade)]
        kept = [d for decided in story.decided for d in decided.entry.decisions if isinstance(d, PromiseKept)]
        assert sorted((p.audience, p.due) for p in made) == sorted((p.audience, p.due) for p in kept), story.incident


def test_no_audience_that_is_told_of_updates_waits_longer_than_the_policy_allows(stories):
    for story in stories.values():
        if story.state.maintenance:
            continue
        told = [d.entry.at for d in story.decided for n in d.notices if n.audience == "customers" and not n.corrects]
        longest = max((later - earlier for earlier, later in pairwise(told)), default=timedelta())
        over = story.state.worst is not None and story.state.worst is not Severity.NONE
        assert not over or longest <= timedelta(hours=8), story.incident
