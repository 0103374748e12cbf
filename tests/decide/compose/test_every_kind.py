"""Every kind of notice, at every level, on every channel, in every language, with everything said and with nothing."""

import json
import re
from dataclasses import replace
from datetime import timedelta

import pytest

from pipeline.decide.compose import compose
from pipeline.decide.compose.page import page_of
from pipeline.decide.compose.templates import phrase
from pipeline.decide.view import Known
from schemas.base import Channel, Level, State
from schemas.journal import NoticeKind
from schemas.rendering import EmailContent, content_in, filled
from tests.decide.compose.notices import AT, CORRECTED, HOUR, MAINTENANCE, OPENED, RESOLVED, occasion, shipped, telling

FULL = OPENED.model_copy(
    update={name: getattr(RESOLVED, name) for name in ("ended_at", "held_since", "done", "planned", "root_cause")}
    | {name: getattr(MAINTENANCE, name) for name in ("starts_at", "ends_at")}
    | {"translations": None, "explanation": "One number was wrong", "milestone": "Half of it is done", "review": "All."}
    | {"technical_detail": "Shard 7.", "internal_notes": "Bridge 4.", "earlier": ("login-3 (Logins fail)",)}
    | {"good_news": "Refunds work", "ownership": "It was ours."}
)
ENDS = {NoticeKind.RESOLVED, NoticeKind.MAINTENANCE_COMPLETED, NoticeKind.REVIEW}
ANY_CHANNEL = tuple(Channel)


def phrases(language: str):
    return phrase(language, shipped(), lambda say: say)


def occasions(kind: NoticeKind, known: Known, before: Known):
    """The kind told as it may come: of an incident or a maintenance, open or over."""
    about = occasion(known, before, since=AT - HOUR, regions_ever=known.regions or (), revision=1)
    maintenance = kind.startswith("maintenance")
    yield replace(about, over=kind in ENDS, maintenance=maintenance)
    yield replace(about, over=kind in ENDS, maintenance=maintenance, since=None, released=frozenset({"ownership"}))
    if kind not in ENDS and not maintenance:
        yield replace(about, over=True)
        yield replace(about, maintenance=True)


@pytest.mark.parametrize("level", Level)
@pytest.mark.parametrize("kind", NoticeKind)
@pytest.mark.parametrize(("known", "before"), [(Known(), Known()), (FULL, Known()), (FULL, CORRECTED)])
@pytest.mark.parametrize("safe", [False, True])
def test_it_can_be_told(kind, level, known, before, safe):
    for about in occasions(kind, known, before):
        made = compose(telling(kind, level, channels=ANY_CHANNEL, safe=safe), about, shipped())
        assert [(r.content.channel, r.language) for r in made] == [(c, lang) for c in Channel for lang in ("en", "de")]
        for rendering in made:
            text = content_in(rendering, "Europe/Berlin").text
            assert text.strip()
            assert "None" not in re.sub(r"None( expected)?\.", "", text)
            assert not re.search(r"[\x00-\x08\x0e-\x1f]|\{\{t\d", text)
            assert "  " not in text.replace("\n\n-- \n", "")


@pytest.mark.parametrize("kind", NoticeKind)
@pytest.mark.parametrize("known", [Known(), FULL])
def test_both_languages_say_the_same_parts_in_the_same_order(kind, known):
    for about in occasions(kind, known, Known()):
        english, german = (_headings(kind, about, language) for language in ("en", "de"))
        assert english == german


def _headings(kind, about, language) -> list[str]:
    """The keys of the sections of a mail, whatever they are called in the language."""
    page = page_of(telling(kind, Level.INTERNAL), about, Level.INTERNAL, language, ("UTC",), shipped())
    sections = page.evaluated("sections.j2", page.on(Channel.EMAIL), lambda made: made["sections"])
    headings = phrases(language).headings
    names = {heading: key for key, heading in headings.items()}
    assert len(names) == len(headings)
    return [names[heading] for heading, text in sections if text and text.strip()]


@pytest.mark.parametrize("kind", sorted(set(NoticeKind) - {NoticeKind.REMINDER}))
def test_no_english_is_left_in_a_german_notice_of_templated_words(kind):
    english, german = (set(_texts(phrases(language))) for language in ("en", "de"))
    foreign = {part for phrase in english - german for part in re.split(r"%\(\w+\)s", phrase) if len(part.strip()) > 3}
    known = FULL.model_copy(update={"contact": None, "crew": None})
    for safe in (True, False):
        for about in occasions(kind, known if safe else _without_texts(known), Known()):
            for rendering in compose(telling(kind, channels=ANY_CHANNEL, safe=safe), about, shipped()):
                if rendering.language == "de":
                    shown = _prose(content_in(rendering, "Europe/Berlin"))
                    assert not [part for part in foreign if part.strip() in shown]


def _prose(content) -> str:
    """What is written for people; the names of a webhook's JSON are for programs."""
    if content.channel is not Channel.WEBHOOK:
        return content.text
    data = json.loads(content.text)["data"]
    return f"{data['status']}\n{data['text']}"


def test_hardly_a_phrase_is_the_same_in_both_languages():
    english, german = ({text for text in _texts(phrases(language)) if text} for language in ("en", "de"))
    alike = {re.sub(r"%\(\w+\)s", "", text).strip() for text in english & german}
    assert not {text for text in alike if re.search(r"\w{4}", text)} - {"Regions"}


def _without_texts(known: Known) -> Known:
    moments = ("began_at", "ended_at", "held_since", "starts_at", "ends_at", "next_update_at")
    return Known(**{name: getattr(known, name) for name in moments}, state=State.MONITORING, severity=known.severity)


def _texts(value):
    if isinstance(value, str):
        yield value
    else:
        items = value.values() if isinstance(value, dict) else (v for k, v in vars(value).items() if k[0] != "_")
        for item in items:
            yield from _texts(item)


def test_each_language_has_the_same_phrases_with_the_same_parts():
    english, german = (_skeleton(phrases(language)) for language in ("en", "de"))
    assert english == german


def _skeleton(value):
    """The names of the phrases, and what each leaves to be filled in."""
    if isinstance(value, str):
        return frozenset(re.findall(r"%\((\w+)\)s", value))
    items = value.items() if isinstance(value, dict) else ((k, v) for k, v in vars(value).items() if k[0] != "_")
    return {key: None if key == "times" else _skeleton(item) for key, item in items}


def test_languages_levels_and_channels_come_in_a_fixed_order_and_never_above_the_telling():
    readers = replace(occasion(OPENED).readers, levels=(Level.INTERNAL, Level.PUBLIC, Level.CUSTOMER, Level.EXECUTIVE))
    made = compose(telling(NoticeKind.OPENED, Level.EXECUTIVE), occasion(OPENED, readers=readers), shipped())
    levels = [Level.EXECUTIVE, Level.CUSTOMER, Level.PUBLIC]
    assert [(r.language, r.level) for r in made] == [(language, level) for language in ("en", "de") for level in levels]


def test_only_the_channels_that_are_asked_for_are_composed():
    everywhere = telling(NoticeKind.OPENED, channels=ANY_CHANNEL)
    made = compose(everywhere, occasion(OPENED), shipped(), {Channel.X, Channel.SMS})
    assert {r.content.channel for r in made} == {Channel.SMS, Channel.X}
    assert compose(everywhere, occasion(OPENED), shipped(), ()) == ()


def test_a_language_without_templates_reads_the_default():
    readers = replace(occasion(OPENED).readers, languages=("fr", "en"))
    made = compose(telling(NoticeKind.OPENED), occasion(OPENED, readers=readers), shipped())
    assert [r.language for r in made] == ["en"]


def test_the_same_occasion_gives_the_same_bytes():
    everything = telling(NoticeKind.OPENED, Level.INTERNAL, channels=ANY_CHANNEL)
    first, second = (compose(everything, occasion(FULL), shipped()) for _ in range(2))
    assert [r.sha256 for r in first] == [r.sha256 for r in second]


def test_every_slot_has_words_in_every_row_and_every_word_a_slot():
    for kind in NoticeKind:
        for about in occasions(kind, FULL, CORRECTED):
            for rendering in compose(telling(kind, Level.INTERNAL, channels=ANY_CHANNEL), about, shipped()):
                texts = [v for _, v in rendering.content if isinstance(v, str)]
                used = {int(n) for text in texts for n in re.findall(r"\{\{t(\d+)\}\}", text)}
                widths = {len(row) for row in rendering.moments.values()} or {0}
                assert widths == {len(used)}
                assert used == set(range(len(used)))
                for zone, row in rendering.moments.items():
                    assert all(filled(f"{{{{t{n}}}}}", row) == row[n] for n in used), zone


def test_a_promise_is_stated_only_where_updates_are_told():
    about = occasion(OPENED)
    for channels, promised in ((frozenset(Channel), True), (frozenset(), False)):
        at = replace(about, readers=replace(about.readers, updated=channels))
        in_words = tuple(set(Channel) - {Channel.WEBHOOK})  # a webhook's moments: test_payload
        made = compose(telling(NoticeKind.OPENED, channels=in_words), at, shipped())
        for rendering in (r for r in made if r.language == "en"):
            text = content_in(rendering, "UTC").text
            assert ("16:34 UTC" in text) is promised
            ends = "Next message: when it is over, or if its impact changes."
            short = "Next message when it is over."
            assert ((ends if isinstance(rendering.content, EmailContent) else short) in text) is not promised


def test_nothing_is_promised_once_it_is_over():
    for rendering in compose(telling(NoticeKind.RESOLVED, channels=ANY_CHANNEL), occasion(FULL, over=True), shipped()):
        assert not re.search("Next|Nächste (Meldung|Nachricht)", content_in(rendering, "UTC").text)


@pytest.mark.parametrize("days", [0, 1, 400])
def test_a_notice_of_any_age_can_be_told(days):
    about = occasion(FULL, at=AT + timedelta(days=days), over=True)
    assert compose(telling(NoticeKind.REVIEW), about, shipped())
