"""Hostile strings in every text field: data stays data in every channel."""

import json
from collections import Counter
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser

import pytest

from pipeline.decide.guard import RULES
from pipeline.decide.incident import Decided
from pipeline.decide.view import UNSUBSCRIBE
from pipeline.policy import Policy
from pipeline.policy.guard import Guard
from schemas import incident as events
from schemas.base import Severity
from schemas.rendering import EmailContent, PostContent, SmsContent
from tests.decide.stories import Story, default_policy, email_to, post_to, sms_to
from tests.paths import CORPUS, needs_corpus

OWN = [
    "{{7*7}}", "{{ it }}", "{% raw %}", "{# gone #}", "{{unsubscribe}}", "${7*7}", "<script>alert(1)</script>",
    "a\r\nBcc: victim@example.com", "a\nBcc: victim@example.com", "a\u2028Bcc: x", "a\x00b", "</td></table><h1>",
    "\" onmouseover=\"x()", "' onload='x()", "<img src=x onerror=x()>", "javascript:x()", "&lt;b&gt;", "]]>", "<!--",
    "\ufffe\uffff", "\u202egnp.exe", "{{unsub" , "scribe}}", "{{{{unsubscribe}}unsubscribe}}",
]  # fmt: skip
VOID = {"meta", "br"}


class Elements(HTMLParser):
    """Every element with its attributes, the text between them, and whether the elements nest."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: Counter[tuple[str, str | None]] = Counter()
        self.text, self.open, self.nests = "", [], True
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags[tag] += 1
        self.attributes.update((name, value) for name, value in attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        self.nests = self.nests and bool(self.open) and self.open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def handle_comment(self, data):
        self.tags["comment"] += 1


def strings() -> list[str]:
    path = CORPUS / "vectors" / "hostile-strings.json"
    return OWN + (json.loads(path.read_text()) if path.is_file() else [])


def story_of(text: str) -> list[Decided]:
    """An incident with `text` in every text field, from its start to its review."""
    said = {
        "title": text, "components": (text,), "regions": (text,), "summary": text,
        "consequences": {"now": text, "expected": text, "lasting": text}, "workaround": text, "good_news": text,
        "contact": {"name": text, "reach": text}, "crew": {"who": text}, "technical_detail": text, "done": text,
        "planned": text, "root_cause": text,
    }  # fmt: skip
    story = Story("hostile-1", policy=unguarded())
    told = [
        story.take(events.IncidentOpened.model_validate(said | {"severity": Severity.CRITICAL})),
        story.take(events.MilestoneReached.model_validate({"milestone": text + " done"})),
        story.ends(events.IncidentResolved.model_validate(said)),
        story.take(events.ReviewPublished.model_validate(said | {"review": text + " again"}), after=3 * 24 * 60),
    ]
    assert all(decided.notices for decided in told)
    return told


@cache
def unguarded() -> Policy:
    """Everything is told as it was said: what the guard takes out cannot do harm."""
    policy = default_policy()
    return replace(policy, guard=Guard(rules=dict.fromkeys(RULES, "off")), hash="2" * 64)


def accepted(text: str) -> bool:
    """Whether the wire takes it at all: blank or overlong text is refused there."""
    try:
        events.MilestoneReached(milestone=text)
        events.IncidentUpdated(title=text)
    except ValueError:
        return False
    return True


PLAIN = [Elements(email_to("technical", decided).html) for decided in story_of("plain")]


@needs_corpus
def test_the_corpus_of_hostile_strings_is_read():
    assert len(strings()) > 250


@pytest.mark.parametrize("text", [pytest.param(t, id=str(n)) for n, t in enumerate(strings()) if accepted(t)])
def test_a_hostile_string_in_every_field_stays_a_string(text):
    for decided, plain in zip(story_of(text), PLAIN, strict=True):
        for notice in decided.notices:
            for rendering in notice.renderings:
                check(rendering.content)
        html = Elements(email_to("technical", decided).html)
        assert html.nests
        assert not html.open
        lines = events.MilestoneReached(milestone=text).milestone.count("\n")
        assert html.tags - Counter({"br": html.tags["br"]}) == plain.tags - Counter({"br": plain.tags["br"]})
        assert lines or html.tags["br"] == plain.tags["br"]
        assert html.attributes == plain.attributes


def check(content: EmailContent | SmsContent | PostContent) -> None:
    if isinstance(content, EmailContent):
        assert len(content.subject.splitlines()) == 1
        assert content.subject.isprintable() or not set(content.subject) & set("\r\n\x00")
        assert content.subject.count(UNSUBSCRIBE) == 0
        assert content.text.count(UNSUBSCRIBE) == content.html.count(UNSUBSCRIBE) == 1
        assert f'href="{UNSUBSCRIBE}"' in content.html
    elif isinstance(content, SmsContent):
        assert content.segments <= 2
        assert "\n" not in content.text
    else:
        assert 0 < content.weighted_length <= 280
        assert "\n" not in content.text


@pytest.mark.parametrize("text", ["{{7*7}}", "{% if x %}", "{# note #}", "${7*7}", "<b>&amp;</b>"])
def test_what_looks_like_a_template_or_markup_stays_literal_everywhere(text):
    first = story_of(text)[0]
    mail = email_to("customers", first)
    assert text in mail.subject
    assert text in mail.text
    assert text in Elements(mail.html).text
    assert text in sms_to("customers", first).text
    assert text in post_to("public", first).text
