"""Both bodies of a mail say the same, in the language that they claim, and bring nothing from elsewhere."""

import re
from html.parser import HTMLParser

import pytest

from tests.decide.compose.notices import STORY, mail

HIDDEN = {"style", "title"}


class Visible(HTMLParser):
    """The text that a reader of the page sees, its language, and every address that it would load or link."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text, self.language, self.addresses, self._hidden = "", "", [], 0
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self._hidden += tag in HIDDEN
        self.text += " "
        self.language = found.get("lang", self.language)
        self.addresses += [found[name] for name in ("src", "href", "background") if name in found]

    def handle_endtag(self, tag):
        self._hidden -= tag in HIDDEN
        self.text += " "

    def handle_data(self, data):
        self.text += "" if self._hidden else data


def said(text: str) -> list[str]:
    """The words, whatever they look like."""
    return text.casefold().split()


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("name", STORY)
def test_both_bodies_say_the_same_words_in_the_same_order(name, language):
    content = mail(name, language, "Europe/Berlin")
    page = Visible(content.html)
    text = re.sub(r": \{\{unsubscribe\}\}\n?$", "", content.text).replace("\n-- \n", "\n")
    assert said(page.text) == said(text)
    assert page.language == language
    assert page.addresses == ["{{unsubscribe}}"]
    assert "url(" not in content.html


def test_a_heading_is_one_to_those_who_hear_a_page():
    page = mail("opened", "en", "UTC").html
    assert page.count("<h1 ") == 1
    assert page.count("<h2 ") == 7
    assert page.count('role="presentation"') == page.count("<table ")
