"""Mending: what was found is gone, nothing else is touched, and doing it twice changes nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.decide.guard import RULES, Found, examine, mend
from schemas.journal import NoticeKind
from tests.decide.guard.saying import ENDS, said
from tests.decide.guard.test_leaks import LEAKS, SECRETS
from tests.decide.guard.test_wording import HARMLESS, OBJECTED

OWN = ("mercury", ".shop.example")
PIECES = [
    *(sentence for those in (*OBJECTED.values(), *HARMLESS.values()) for sentence in those),
    *(text for texts in LEAKS.values() for text in texts),
    *SECRETS,
    *("mercury", "a.shop.example", "e.g.", "z. B.", "am 3. März", "due to", "our provider", "will be", "by 14:00"),
    *("\n\n", "\n- ", "...", "!", "“", "İ", "ß", "\u00a0", "probably", "10.", "x" * 70),
]
texts = st.one_of(
    st.text(max_size=300),
    st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=12)), max_size=12).map(" ".join),
    st.lists(st.sampled_from(PIECES), max_size=8).map("".join),
)
messages = st.builds(
    lambda texts, language, kind, outside: said(
        texts=texts, language=language, kind=kind, outside=outside, own_words=OWN, fresh=frozenset(texts)
    ),
    st.dictionaries(
        st.sampled_from(["title", "summary", "consequences.now", "root_cause", "internal_notes"]), texts, max_size=3
    ),
    st.sampled_from(["en", "de", "fr"]),
    st.sampled_from(NoticeKind),
    st.booleans(),
)


@given(messages)
def test_mending_removes_what_was_found(message):
    found = [one for one in examine(message) if RULES[one.rule].fix or one.rule in ADDED]
    mended = mend(message.texts, found, message.language)
    again = said(texts=mended, language=message.language, kind=message.kind, outside=message.outside, own_words=OWN)
    left = {(one.rule, one.field) for one in examine(again)}
    assert not left & {(one.rule, one.field) for one in found}


@given(messages)
def test_mending_twice_is_mending_once(message):
    found = examine(message)
    once = mend(message.texts, found, message.language)
    assert mend(once, found, message.language) == once


@given(messages)
def test_no_field_is_empty_after_mending_and_none_is_invented(message):
    found = examine(message)
    mended = mend(message.texts, found, message.language)
    named = {one.field for one in found if RULES[one.rule].fix}
    assert all(any(c.isalnum() for c in mended[path]) for path in named & mended.keys())
    added = mended.keys() - message.texts.keys()
    assert added <= {"consequences.lasting", "consequences.expected"}
    assert not added or message.kind in ENDS


@given(messages)
def test_what_nothing_was_found_in_stays_as_it_is(message):
    found = [one for one in examine(message) if one.field == "summary"]
    mended = mend(message.texts, found, message.language)
    assert {path: text for path, text in message.texts.items() if path != "summary" and text} == {
        path: text for path, text in mended.items() if path != "summary"
    }


ADDED = {"lasting-unsaid-at-end", "lingering-unsaid"}


@pytest.mark.parametrize(
    ("language", "text", "mended"),
    [
        (
            "en",
            "Logins fail. We expect this to be fixed by 14:00. Next update by 13:30.",
            "Logins fail. Next update by 13:30.",
        ),
        (
            "en",
            "Logins fail on db-7, e.g. for admins. See PROD-12.",
            "Logins fail on an internal system, e.g. for admins. See an internal ticket.",
        ),
        ("en", "It should be fixed by 14:00.", None),
        ("de", "Anmeldungen schlagen fehl. Das liegt vermutlich am Netz.", "Anmeldungen schlagen fehl."),
        ("de", "Seit dem 3. März ist db-7 langsam.", "Seit dem 3. März ist ein internes System langsam."),
        ("de", "Das Problem wird in Kürze behoben sein.", None),
    ],
)  # fmt: skip
def test_a_sentence_is_left_out_and_a_name_is_put_plainly(language, text, mended):
    message = said(text, language)
    assert mend(message.texts, examine(message), language).get("summary") == mended


def test_only_the_findings_given_are_mended():
    message = said("Writes to db-7 fail, which should be fixed by 14:00.")
    host = [one for one in examine(message) if one.rule == "internal-name"]
    assert mend(message.texts, host, "en") == {
        "summary": "Writes to an internal system fail, which should be fixed by 14:00."
    }


@pytest.mark.parametrize(("language", "words"), [("en", "Not yet known."), ("de", "Noch nicht bekannt.")])
def test_a_resolution_says_what_is_not_known_yet(language, words):
    message = said(texts={}, language=language, kind=NoticeKind.RESOLVED)
    mended = mend(message.texts, examine(message), language)
    assert mended["consequences.lasting"] == words
    assert mended["consequences.expected"]


def test_a_finding_about_a_field_that_is_not_there_changes_nothing():
    assert mend({"title": "Slow"}, [Found("guess", "summary", "", "")], "en") == {"title": "Slow"}
