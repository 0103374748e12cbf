"""Whatever is said: a text message takes two segments at most in every zone, a post fits, nothing becomes a slot."""

import re
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.decide.compose import compose
from pipeline.decide.view import Known
from pipeline.text.post import is_valid, weighted_length
from pipeline.text.sms import measure
from schemas.base import Channel, Level, Severity
from schemas.incident import Consequences, IncidentOpened
from schemas.journal import NoticeKind
from schemas.rendering import content_in, filled
from tests.decide.compose.notices import AT, HOUR, OPENED, READERS, occasion, shipped, telling, words

ZONES = ("Europe/Berlin", "America/Sao_Paulo", "America/Argentina/ComodRivadavia", "Asia/Kolkata", "Etc/GMT+12")
PIECES = st.sampled_from(
    ["Cards fail. ", "{{t0}}", "{{t12}}", "{{", "}}", "t0", "{{\u200bt0}}", "{{unsubscribe}}", "{%x%}", "ü", "Привет ",
     "🔥", "|", "^", "…", "„so“ ", "\u00ad", "a.b.com/x ", "https://x.example/y ", "\ufffe", "word " * 40, "{{ t0 }}",
     "\x02"]
)  # fmt: skip
TEXTS = st.lists(PIECES | st.text(max_size=40), min_size=1, max_size=8).map("".join)
EVERYWHERE = replace(READERS, zones=ZONES, updated=frozenset(Channel))


def known_of(title: str, text: str) -> Known:
    """What the wire lets through of these texts."""
    event = IncidentOpened(
        title=title, severity=Severity.MAJOR, summary=text, next_update_at=AT + HOUR,
        consequences=Consequences(now=text, lasting=text, data_loss=title),
    )  # fmt: skip
    return Known(**{name: getattr(event, name) for name in type(event).model_fields})


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(
    TEXTS, TEXTS, st.sampled_from([NoticeKind.OPENED, NoticeKind.UNCHANGED, NoticeKind.RESOLVED, NoticeKind.CORRECTION])
)
def test_every_message_fits_in_every_zone_and_nothing_of_an_event_is_a_slot(title, text, kind):
    try:
        known = known_of(title, text)
    except ValueError:
        return  # blank: the wire does not take it
    about = occasion(known, known, readers=EVERYWHERE, since=AT - HOUR, over=kind is NoticeKind.RESOLVED)
    for rendering in compose(telling(kind, channels=tuple(Channel)), about, shipped()):
        rows = rendering.moments.values() or ((),)
        slots = set(re.findall(r"\{\{(.+?)\}\}", rendering.content.text)) & {f"t{n}" for n in range(99)}
        assert slots <= {f"t{n}" for n in range(len(next(iter(rows))))}
        match rendering.content.channel:
            case Channel.SMS:
                measured = [measure(filled(rendering.content.text, row)) for row in rows]
                assert rendering.content.segments == max(one.segments for one in measured) <= 2
                assert rendering.content.encoding in {one.encoding for one in measured}
            case Channel.X:
                read = content_in(rendering, "UTC").text
                assert is_valid(read)
                assert rendering.content.weighted_length == weighted_length(read)
            case Channel.EMAIL:
                assert rendering.content.text.count("{{unsubscribe}}") == 1
                assert rendering.content.html.count("{{unsubscribe}}") == 1


@pytest.mark.parametrize("slot", ["{{t0}}", "{{t1}}", "{{t999}}", "{{unsubscribe}}"])
def test_what_looks_like_a_slot_stays_literal_to_every_reader(slot):
    known = OPENED.model_copy(update={"title": f"a {slot} b", "summary": f"{slot}.", "translations": None})
    literal = slot.replace("{{", "{{ ").replace("}}", " }}")
    for channel in Channel:
        shown = words(telling(NoticeKind.OPENED), occasion(known), channel, zone="Europe/Berlin")
        assert f"a {literal} b" in shown.text
    mail = words(telling(NoticeKind.OPENED), occasion(known))
    assert f"a {literal} b" in mail.subject
    assert f"a {literal} b" in mail.html


def test_two_fields_cannot_make_a_slot_together():
    known = Known(title="{{t", summary="0}} and more", consequences=Consequences(now="{{", lasting="t0}}"))
    for channel in Channel:
        text = words(telling(NoticeKind.OPENED), occasion(known), channel).text
        assert "{{t" in text


def test_a_soft_hyphen_that_goes_from_a_text_message_leaves_no_slot_behind():
    known = Known(title="{{\u00adt0}} „fails“", next_update_at=AT + HOUR)
    about = occasion(known, readers=EVERYWHERE)
    shown = words(telling(NoticeKind.OPENED, Level.CUSTOMER), about, Channel.SMS, zone="Europe/Berlin")
    assert '{{ t0 }} "fails"' in shown.text
    assert shown.encoding == "GSM-7"


def test_a_long_text_is_cut_at_a_sentence_and_keeps_when_the_next_word_comes():
    known = OPENED.model_copy(update={"summary": "Cards are declined in Europe. " * 30, "translations": None})
    about = occasion(known, readers=EVERYWHERE)
    one = telling(NoticeKind.OPENED)
    assert words(one, about, Channel.SMS, zone="Europe/Berlin").text.endswith(
        "Europe. Next update by 17:34 Berlin time."
    )
    assert words(one, about, Channel.X).text.endswith("Europe. Next update by 16:34 UTC. [payments-overnight]")


def test_a_link_of_an_event_is_left_out_of_a_post_alone():
    known = OPENED.model_copy(update={"summary": "See https://example.com/x?y=1. Thanks.", "translations": None})
    assert "See [link]. Thanks." in words(telling(NoticeKind.OPENED), occasion(known), Channel.X).text
    assert "https://example.com/x?y=1" in words(telling(NoticeKind.OPENED), occasion(known), Channel.SMS).text
