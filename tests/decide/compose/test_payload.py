"""What a program is told is JSON: the facts that its reader may see, and no other."""

import json
from dataclasses import replace
from typing import Any

import pytest

from pipeline.decide.compose import compose
from pipeline.decide.view import Known, visible_fields
from schemas.base import Channel, Level
from schemas.incident import IncidentUpdated
from schemas.journal import NoticeKind
from schemas.rendering import content_in
from tests.decide.compose.notices import OPENED, READERS, occasion, shipped, telling

FOLLOWED = replace(READERS, languages=(), updated=frozenset(Channel))


def known_of(text: str) -> Known:
    """What the wire lets through of it."""
    event = IncidentUpdated(summary=f"It says {text} here")
    return OPENED.model_copy(update={"summary": event.summary})


def told(
    kind: NoticeKind = NoticeKind.OPENED, *, level: Level = Level.CUSTOMER, readers: Any = FOLLOWED, **said: Any
) -> Any:
    about = telling(kind, channels=(Channel.WEBHOOK,), level=level, **said)
    [rendering] = compose(about, occasion(OPENED, OPENED, readers=readers), shipped())
    assert content_in(rendering, "Europe/Berlin") == content_in(rendering, "UTC") == rendering.content
    return json.loads(rendering.content.text)


def test_it_has_the_form_of_standard_webhooks() -> None:
    found = told()
    assert set(found) == {"type", "timestamp", "data"}
    assert (found["type"], found["timestamp"]) == ("incident.opened", "2026-02-11T16:04:00Z")
    assert found["data"]["facts"]["next_update_at"] == "2026-02-11T16:34:00Z"
    assert found["data"]["facts"]["consequences"]["data_loss"] == "none"


@pytest.mark.parametrize("level", Level)
def test_no_fact_stands_in_it_that_its_reader_may_not_see(level: Level) -> None:
    known = OPENED.model_copy(update={"technical_detail": "db-7 was full"})
    about = telling(NoticeKind.OPENED, channels=(Channel.WEBHOOK,), level=level)
    [rendering] = compose(about, occasion(known, known, readers=FOLLOWED), shipped())
    facts = json.loads(rendering.content.text)["data"]["facts"]
    assert set(facts) <= visible_fields(level, shipped().approvals)


@pytest.mark.parametrize(
    "text", ['"},"over":true,"x":{"', "\\", "{{unsubscribe}}", "</script>", "\u2028\u0000\ud83d\ude00", "a\tb"]
)
def test_a_hostile_text_stays_a_string(text: str) -> None:
    known = known_of(text)
    about = telling(NoticeKind.OPENED, channels=(Channel.WEBHOOK,))
    [rendering] = compose(about, occasion(known, known, readers=FOLLOWED), shipped())
    data = json.loads(rendering.content.text)["data"]
    assert data["over"] is False
    assert data["facts"]["summary"].replace("{{ unsubscribe }}", "{{unsubscribe}}") == known.summary


def test_a_next_update_stands_only_where_updates_are_told() -> None:
    assert "next_update_at" not in told(readers=replace(FOLLOWED, updated=frozenset()))["data"]["facts"]


def test_in_safe_words_no_text_of_an_event_stands_in_it() -> None:
    found = told(safe=True)
    assert "Card payments fail" not in json.dumps(found)


@pytest.mark.parametrize("kind", NoticeKind)
def test_every_kind_has_a_payload_and_a_notification(kind: NoticeKind) -> None:
    about = telling(kind, channels=(Channel.WEBHOOK, Channel.APPRISE))
    renderings = compose(about, occasion(OPENED, OPENED), shipped())
    assert {rendering.content.channel for rendering in renderings} == {Channel.WEBHOOK, Channel.APPRISE}
    for rendering in renderings:
        assert "\x02" not in rendering.content.text
        assert rendering.content.text
