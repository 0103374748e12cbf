"""What a message leaves out."""

import pytest

from schemas.journal import NoticeKind
from tests.decide.guard.saying import rules, said

ALL_SAID = {"summary": "Logins work again.", "consequences.now": "none", "consequences.lasting": "none"}


@pytest.mark.parametrize(
    ("language", "summary", "unsaid"),
    [
        ("en", "We are currently investigating this issue.", True),
        ("en", "We are still working on mitigating the issue.", True),
        ("en", "About a third of all logins fail.", False),
        ("en", "Pages load slowly.", False),
        ("en", "Search is operating normally.", False),
        ("de", "Wir untersuchen das Problem.", True),
        ("de", "Anmeldungen schlagen fehl.", False),
        ("de", "Seiten laden langsam.", False),
    ],
)
def test_an_update_says_what_it_means_for_those_who_use_the_service(language, summary, unsaid):
    assert ("consequences-unsaid" in rules(said(summary, language))) is unsaid


def test_consequences_in_their_own_field_count_even_where_there_are_none():
    for path in ("consequences.now", "consequences.expected"):
        assert "consequences-unsaid" not in rules(said(texts={"summary": "We are investigating.", path: "none"}))


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", "No data was lost."),
        ("en", "Orders of Monday are permanently gone."),
        ("en", "There was no data loss."),
        ("en", "All delayed notifications have been delivered."),
        ("de", "Es gingen keine Daten verloren."),
        ("de", "Kein Datenverlust."),
        ("de", "Alle Aufträge wurden nachgeholt."),
    ],
)
def test_lasting_damage_or_its_absence_may_be_told_in_plain_words(language, words):
    assert not rules(said(words, language)) & {"lasting-unsaid"}
    assert not rules(said(words, language, kind=NoticeKind.RESOLVED)) & {"lasting-unsaid-at-end"}


def test_silence_about_lasting_damage_is_another_thing_at_the_end_than_before():
    assert "lasting-unsaid" in rules(said("Logins fail."))
    assert "lasting-unsaid-at-end" not in rules(said("Logins fail."))
    at_end = rules(said("Logins work again.", kind=NoticeKind.RESOLVED))
    assert "lasting-unsaid-at-end" in at_end
    assert "lasting-unsaid" not in at_end


def test_a_complete_resolution_leaves_nothing_to_object_to():
    assert rules(said(texts=ALL_SAID, kind=NoticeKind.RESOLVED, has_contact=False, has_next_update=False)) == set()


@pytest.mark.parametrize(
    ("language", "summary", "confirmed", "lingers_said"),
    [
        ("en", "This incident has been resolved.", True, False),
        ("en", "Logins were slow between 10:12 and 11:40 UTC.", True, False),
        ("en", "All services are operating normally again.", True, True),
        ("en", "Fixed. Delayed mails may still arrive until noon.", False, True),
        ("en", "Please follow the link for the summary.", False, False),
        ("de", "Die Störung ist behoben.", True, False),
        ("de", "Alles funktioniert wieder wie gewohnt.", True, True),
        ("de", "Wir untersuchen die Ursache.", False, False),
    ],
)
def test_a_resolution_confirms_recovery_and_says_what_lingers(language, summary, confirmed, lingers_said):
    found = rules(said(summary, language, kind=NoticeKind.RESOLVED))
    assert ("recovery-unconfirmed" not in found) is confirmed
    assert ("lingering-unsaid" not in found) is lingers_said


def test_a_resolution_without_words_is_confirmed_by_the_notice_itself():
    assert "recovery-unconfirmed" not in rules(said(texts={}, kind=NoticeKind.RESOLVED))


def test_a_contact_is_missed_while_it_lasts_only():
    assert "contact-unsaid" in rules(said("Logins fail.", has_contact=False))
    assert "contact-unsaid" not in rules(said("Logins work.", has_contact=False, kind=NoticeKind.RESOLVED))
    assert "contact-unsaid" not in rules(
        said(texts={"review": "It was so."}, has_contact=False, kind=NoticeKind.REVIEW)
    )


@pytest.mark.parametrize(
    ("language", "summary", "unsaid"),
    [
        ("en", "Logins fail.", True),
        ("en", "Logins fail. We will provide another update shortly.", True),
        ("en", "Logins fail. Next update in 30 minutes.", False),
        ("en", "Logins fail. We will post another update by 14:00.", False),
        ("de", "Anmeldungen schlagen fehl.", True),
        ("de", "Anmeldungen schlagen fehl. Nächste Meldung um 14 Uhr.", False),
        ("de", "Anmeldungen schlagen fehl. In 30 Minuten informieren wir wieder.", False),
    ],
)
def test_an_update_says_when_the_next_one_comes(language, summary, unsaid):
    assert ("next-update-unsaid" in rules(said(summary, language, has_next_update=False))) is unsaid
    assert "next-update-unsaid" not in rules(said(summary, language, has_next_update=True))


def test_a_next_update_that_was_said_earlier_does_not_count_for_this_message():
    texts = {"summary": "Logins fail.", "good_news": "Next update by 14:00."}
    fresh = frozenset({"summary"})
    assert "next-update-unsaid" in rules(said(texts=texts, fresh=fresh, has_next_update=False))


@pytest.mark.parametrize("again", ["Logins fail.", "logins  FAIL", "Logins fail!\n"])
def test_the_same_text_again_is_no_news(again):
    assert "same-text" in rules(said(again, before={"summary": "Logins fail."}))


def test_the_same_text_is_news_when_anything_else_is_new_or_the_kind_is():
    before = {"summary": "Logins fail.", "workaround": "Use the app."}
    assert "same-text" not in rules(said("Logins fail in the EU.", before=before))
    assert "same-text" not in rules(
        said(texts={"summary": "Logins fail.", "good_news": "Fewer do."}, before={"summary": "Logins fail."})
    )
    assert "same-text" not in rules(said("Logins fail.", kind=NoticeKind.REOPENED, before=before))


def test_what_stands_from_before_is_no_repetition():
    texts = {"summary": "Logins fail.", "good_news": "Fewer do."}
    assert "same-text" not in rules(said(texts=texts, before=texts, fresh=frozenset()))
    assert "same-text" not in rules(
        said(texts=texts, before={"summary": "Logins fail."}, fresh=frozenset({"good_news"}))
    )
