"""What was said goes out again, in the same words, by the real channels, and to nobody but the sandbox."""

import pytest

from pipeline.audit.history import history
from pipeline.channels.email import EmailSender
from pipeline.replay.into_sandbox import into_sandbox, said_in, senders_of
from pipeline.replay.sources import words_of
from pipeline.sandbox import Sandbox
from schemas.audit import AuditEntry
from schemas.base import Channel
from tests.audit.logs import seal_all
from tests.replay.test_sealed_off import REAL
from tests.replay.told import PEOPLE, TOLD, records, turns
from tests.replay.trials import conditions

TURNS = turns()
POLICY = conditions().policy
WORDS = words_of([turn.entry for turn in TURNS], {POLICY.hash: POLICY})
FOUND = history((AuditEntry.model_validate_json(one.value) for one in seal_all(records(TURNS))), "search-1")
NOTICES = [notice for turn in TURNS for notice in turn.notices]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def told_on(channel: Channel) -> int:
    return sum(any(r.content.channel is channel for r in notice.renderings) for notice in NOTICES)


async def test_whatever_a_provider_took_the_sandbox_takes_in_the_same_words() -> None:
    clock = Clock()
    async with Sandbox(x_posts_per_window=1000) as sandbox:
        found = await into_sandbox(said_in(FOUND), WORDS, sandbox, None, clock.sleep, lambda: clock.now)
        assert not clock.slept
        assert found.said == found.taken
        assert found.taken[Channel.EMAIL] == len(sandbox.mails) == 2 * told_on(Channel.EMAIL)
        assert found.taken[Channel.SMS] == len(sandbox.texts) == told_on(Channel.SMS), "Berta's was refused then"
        assert found.taken[Channel.X] == len(sandbox.posts) == told_on(Channel.X)
        firsts = [r.content for r in NOTICES[0].renderings if r.content.channel is Channel.EMAIL]
        assert sandbox.mails[0].header("Subject") in {content.subject for content in firsts}
        assert {one.rpartition("@")[2] for mail in sandbox.mails for one in mail.recipients} == {"replay.invalid"}
        assert len({mail.recipients for mail in sandbox.mails}) == len(PEOPLE)


async def test_it_keeps_the_pace_of_what_happened_times_the_speed() -> None:
    clock = Clock()
    said = list(said_in(FOUND))
    span = (max(one.at for one in said) - min(one.at for one in said)).total_seconds()
    async with Sandbox(x_posts_per_window=1000) as sandbox:
        await into_sandbox(said, WORDS, sandbox, 60.0, clock.sleep, lambda: clock.now)
    assert sum(clock.slept) == pytest.approx(span / 60)


async def test_what_it_has_no_words_for_is_counted_and_not_said() -> None:
    async with Sandbox() as sandbox:
        found = await into_sandbox(said_in(FOUND), {}, sandbox, None, Clock().sleep, lambda: 0.0)
        assert found.without_words == found.said
        assert not sandbox.mails


async def test_no_setting_of_the_environment_gets_into_its_channels(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in REAL.items():
        monkeypatch.setenv(name, value)
    async with Sandbox() as sandbox:
        senders = senders_of(sandbox)
        assert set(senders) == set(TOLD), "no webhooks, no Apprise: nothing that a subscriber's own address leads to"
        mail = senders[Channel.EMAIL]
        assert isinstance(mail, EmailSender)
        assert "real" not in repr(vars(mail._settings))
        for sender in senders.values():
            await sender.close()
