"""The report to look at: one file, that shows what came from outside and never obeys it."""

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest

from pipeline.replay.backtest import backtest
from pipeline.replay.findings import Found, Report
from pipeline.replay.past import Past
from pipeline.replay.report import main_audience, page, silence
from pipeline.replay.report.silence import Curve, figure
from pipeline.replay.results import Prices
from pipeline.replay.sums import summed
from schemas.base import Severity
from schemas.incident import IncidentOpened, IncidentUpdated
from tests.paths import CORPUS, needs_corpus
from tests.replay.test_backtest import github
from tests.replay.trials import QUIET_PAST, opened, over, past, policy, trial

EVIL = '</script><script>alert(1)</script><img src=x onerror="alert(2)">\'"`${1}{{7*7}}{% raw %}<!--]]>&amp;'


def found(pasts: list[Past], name: str = "small-saas") -> Found:
    under = trial(name)
    results = backtest(pasts, under, jobs=2)
    return Found(policy(name), under.conditions.census, results, summed(results, under.prices))


def report(pasts: list[Past], against: str | None = None) -> Report:
    return Report(found(pasts), found(pasts, against) if against else None, "an example", "nobody approves", Prices())


class Elements(HTMLParser):
    """Every element with its attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def assert_harmless(html: str) -> None:
    elements = Elements(html).found
    tags = [tag for tag, _ in elements]
    assert (tags.count("script"), tags.count("style")) == (1, 1)
    assert not {"img", "iframe", "object", "embed", "link", "base", "form", "a"} & set(tags)
    for tag, attributes in elements:
        assert not [name for name in attributes if name.startswith("on") or name in {"style", "src", "srcset"}], tag
        assert attributes.get("href", "#").startswith("#")


def test_it_asks_for_nothing_and_its_policy_names_its_one_script_and_style() -> None:
    html = page(report([QUIET_PAST]))
    assert_harmless(html)
    csp = next(a["content"] for tag, a in Elements(html).found if a.get("http-equiv") == "Content-Security-Policy")
    assert csp is not None
    assert csp.startswith("default-src 'none'")
    for tag in ("script", "style"):
        (inside,) = re.findall(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        assert base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode() in csp


def test_it_shows_what_was_said_and_told() -> None:
    texts = " ".join(Elements(page(report([QUIET_PAST]))).texts)
    for words in (
        "Search is slow",
        "The index is rebuilt.",
        "unchanged",
        "messages to customers",
        "Sound.",
        "search-1",
    ):
        assert words in texts


def test_hostile_texts_are_shown_and_never_obeyed() -> None:
    title, summary = EVIL[:290], EVIL * 3
    evil = past(
        (0, IncidentOpened(title=title, severity=Severity.MAJOR, summary=summary, components=(title,))),
        (20, IncidentUpdated(summary=summary)),
        (40, over()),
        incident="evil-1",
    )
    html = page(report([evil], against="enterprise"))
    assert_harmless(html)
    assert "alert(1)" in html
    assert "<script>alert" not in html
    assert title in "".join(Elements(html).texts)


@needs_corpus
def test_strings_that_break_software_do_not_break_it() -> None:
    naughty = [text for text in json.loads((CORPUS / "vectors" / "hostile-strings.json").read_text()) if text.strip()]
    said = [
        (2 * number, IncidentUpdated(summary=text))
        for number, text in enumerate(naughty[::12], start=1)
        if _sayable(text)
    ]
    assert len(said) > 20
    assert_harmless(page(report([past((0, opened()), *said, (900, over()), incident="naughty-1")])))


def _sayable(text: str) -> bool:
    try:
        IncidentUpdated(summary=text)
    except ValueError:
        return False
    return True


def test_what_differs_between_two_policies_is_counted_and_listed() -> None:
    html = page(report([QUIET_PAST], against="enterprise"))
    texts = " ".join(Elements(html).texts)
    assert "What the change of policy does" in texts
    assert "only in new" in texts
    assert 'href="#ring"' in html


def test_what_is_not_sound_is_said_first() -> None:
    right = report([QUIET_PAST])
    sums = replace(right.new.sums, broken=["search-1: customers"], unclosed=["search-1: public"])
    html = page(replace(right, new=replace(right.new, sums=sums)))
    assert "Not sound." in html
    assert html.index("search-1: public") < html.index("<h2>")


def test_customers_stand_for_all_and_first_those_whom_nothing_selects() -> None:
    assert main_audience(found([QUIET_PAST])) == "customers"
    assert main_audience(found([QUIET_PAST], "enterprise")) == "customers"


def test_the_picture_is_sound_xml_and_brings_its_colours() -> None:
    svg = silence(report([QUIET_PAST]))
    root = ElementTree.fromstring(svg)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert "prefers-color-scheme: dark" in svg
    assert "messages to customers" in svg


@pytest.mark.parametrize("seconds", [0.0, 59.0, 300.0, 86_400.0 * 30])
def test_a_line_stays_within_its_picture(seconds: float) -> None:
    drawn = figure([Curve("c", "told", (seconds,))], "label")
    numbers = [float(n) for n in re.findall(r"[HV]([-\d.]+)", drawn)]
    assert all(0 <= n <= 560 for n in numbers)


def test_of_a_curve_every_value_above_counts() -> None:
    curve = Curve("c", "told", (60.0, 120.0, 120.0, 600.0))
    assert [curve.share_above(s) for s in (0, 60, 120, 600)] == [1.0, 0.75, 0.25, 0.0]


@needs_corpus
@pytest.mark.slow
def test_the_report_of_399_real_incidents_stays_below_six_megabytes() -> None:
    html = page(report(github()))
    assert len(html.encode()) < 6_000_000
    assert_harmless(html)
