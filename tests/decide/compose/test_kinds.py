"""What each kind of notice says, in the order in which readers need it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from pipeline.decide.view import Known
from schemas.base import Channel, Level, Severity, State
from schemas.incident import Consequences
from schemas.journal import NoticeKind
from tests.decide.compose.notices import AT, HOUR, MAINTENANCE, OPENED, RESOLVED, STORY, mail, occasion, telling, words


def sections(text: str) -> dict[str, str]:
    """The parts of a mail by their headings."""
    blocks = [block.split("\n", 1) for block in text.split("\n\n")]
    return {block[0]: block[1] for block in blocks if len(block) == 2 and block[0].isupper()}


def test_a_first_notice_says_the_effect_first_and_then_what_people_ask():
    text = mail("opened", "en", "UTC").text
    assert text.startswith(
        "Critical incident, cause identified\nCard payments fail in Europe and North America\n\n"
        "Card payments fail in Europe and North America, and payouts are on hold."
    )
    assert list(sections(text)) == [
        "CONSEQUENCES NOW", "CONSEQUENCES IN THE NEAR FUTURE", "LASTING CONSEQUENCES", "DATA LOSS", "AFFECTED",
        "WHAT IS BEING DONE", "WHAT YOU CAN DO MEANWHILE",
    ]  # fmt: skip
    assert sections(text)["LASTING CONSEQUENCES"] == "Not yet known."
    assert sections(text)["DATA LOSS"] == "None."


def test_a_reader_of_german_gets_what_was_translated_and_the_original_of_the_rest():
    text = mail("opened", "de", "Europe/Berlin").text
    assert "Schwere Störung, Ursache gefunden\nKartenzahlungen in Europa und Nordamerika gestört" in text
    assert sections(text)["DATENVERLUST"] == "Keiner."
    assert "Daran arbeiten: The payments and platform teams" in text
    assert "Ihre Fragen beantwortet Marta Lindqvist, incident desk (incident-desk@example.com); wir bitten Sie" in text


def test_parts_are_named_in_plain_words_to_those_who_are_no_technicians():
    one, about = STORY["opened"]
    assert "AFFECTED\npayments by card (Card payments), Payouts\n" in words(one, about).text
    assert "AFFECTED\nCard payments, Payouts\n" in words(replace(one, level=Level.TECHNICAL), about).text


def test_unchanged_says_since_when_what_it_means_and_that_people_go_on_working():
    text = mail("unchanged", "en", "Europe/Berlin").text
    assert text.startswith("Unchanged (critical incident, cause identified)")
    lead = text.split("\n\n")[1]
    assert lead.startswith("Nothing has changed since 17:04 Berlin time on 11 February 2026 (16:04 UTC). Card payments")
    assert lead.endswith(
        "Work on it goes on: The payments and platform teams, through the night, until 07:04 Berlin time on"
        " 12 February 2026 (06:04 UTC)."
    )
    assert "Next update: by 20:04 Berlin time" in text


def test_unchanged_without_a_crew_says_what_is_being_done():
    one, about = STORY["unchanged"]
    known = about.known.model_copy(update={"crew": None, "summary": None, "state": State.INVESTIGATING})
    lead = words(one, replace(about, known=known)).text.split("\n\n")[1]
    assert lead.endswith("payouts are on hold. The cause is being looked for.")


def test_a_correction_says_what_was_wrong_what_was_told_and_what_is_right():
    text = mail("correction", "en", "UTC").text
    assert (
        "Our message of 16:04 UTC on 11 February 2026 (11:04 in New York, 17:04 in Berlin) was not right. We wrote"
        in text
    )
    told, right = text.split("WHAT WE TOLD YOU\n")[1].split("WHAT IS RIGHT\n")
    assert "Consequences now: Almost all card payments in Europe and North America are declined; payouts" in told
    assert "Consequences now: Almost all card payments are declined; payouts in Europe are on hold." in right
    assert "CONSEQUENCES NOW" not in text, "it stands under what is right, and once is enough"
    assert "LASTING CONSEQUENCES" in text


def test_a_correction_without_any_changed_field_quotes_the_message():
    one, about = STORY["correction"]
    text = words(
        one, replace(about, known=OPENED.model_copy(update={"explanation": "Nobody was told who we are"}))
    ).text
    assert f"WHAT WE TOLD YOU\n{OPENED.summary}" in text
    assert "WHAT IS RIGHT" not in text


def test_a_retraction_says_that_the_earlier_message_does_not_hold_and_promises_nothing():
    one, about = STORY["retraction"]
    text = mail("retraction", "en", "UTC").text
    assert "does not hold; please disregard it. It was a test of our alarm." in text
    assert sections(text)["THE MESSAGE THAT IS WITHDRAWN"] == OPENED.summary
    assert "Next" not in text
    sms = words(one, about, Channel.SMS, "de", "Europe/Berlin").text
    assert "Unsere Meldung von 17:04 Uhr (Berlin) gilt nicht" in sms


def test_a_resolution_says_recovery_data_loss_lasting_timing_what_was_done_and_what_is_planned():
    parts = sections(mail("resolved", "en", "UTC").text)
    assert parts["RECOVERY"].startswith("Confirmed; it has held since 21:40 UTC on 11 February 2026")
    assert parts["DATA LOSS"] == "None."
    assert parts["LASTING CONSEQUENCES"] == "Payouts of 11 February arrive one business day late."
    assert "Lasted: 6 hours, 6 minutes" in parts["TIMING"]
    assert list(parts)[-3:] == ["WHAT WAS DONE", "WHAT IS PLANNED", "ROOT CAUSE"]


@pytest.mark.parametrize(
    ("lost", "lasting", "english", "german"),
    [
        ("none", "none", "No data loss, no lasting consequences.", "Kein Datenverlust, keine bleibenden Folgen."),
        (None, None, "Data loss and lasting consequences not yet known.", "Datenverlust und bleibende Folgen noch"),
        ("none", None, "No data loss; lasting consequences not yet known.", "Kein Datenverlust; bleibende Folgen noch"),
        (
            "Ten files.",
            "none",
            "Data loss: Ten files. Over. No lasting consequences.",
            "Datenverlust: Ten files. Over.",
        ),
        ("none", "Payouts are late", "Lasting: Payouts are late. Over. No data loss.", "Bleibend: Payouts are late."),
        ("Ten files.", "A day.", "Data loss: Ten files. Lasting: A day. Over.", "Datenverlust: Ten files. Bleibend: A"),
    ],
)
def test_a_text_message_of_the_end_says_what_remains(lost, lasting, english, german):
    known = Known(title="Files fail", summary="Over.", consequences=Consequences(data_loss=lost, lasting=lasting))
    one, about = telling(NoticeKind.RESOLVED), occasion(known, over=True)
    assert english in words(one, about, Channel.SMS).text
    assert german in words(one, about, Channel.SMS, "de").text


def test_a_change_of_severity_is_named_worse_or_better():
    worse = occasion(OPENED, Known(severity=Severity.MINOR))
    better = occasion(OPENED.model_copy(update={"severity": Severity.MINOR}), OPENED)
    one = telling(NoticeKind.IMPACT_CHANGED)
    assert words(one, worse).text.startswith("Worse than before (now a critical incident, cause identified)")
    assert words(one, better, language="de").text.startswith(
        "Verbesserung (jetzt geringfügige Störung, Ursache gefunden)"
    )


def test_a_reminder_gives_the_reason_what_is_unsaid_and_the_commands():
    one, about = STORY["reminder"]
    text = mail("reminder", "en", "UTC").text
    assert "\n\nNothing has been said for 35 minutes.\n\n" in text
    assert sections(text)["NOT YET SAID"].startswith("Consequences now, Consequences in the near future, Lasting")
    assert "\ntocsin incident update payments-overnight --summary" in text
    assert "\ntocsin incident impact payments-overnight --now" in text
    assert "patience" not in text
    assert words(one, about, Channel.SMS).text.endswith("tocsin incident update payments-overnight")
    assert "tocsin incident review payments-overnight" in words(one, replace(about, over=True)).text


def test_a_reason_is_told_to_those_who_are_reminded_and_to_nobody_else():
    for kind in set(NoticeKind) - {NoticeKind.REMINDER}:
        assert "35 minutes" not in words(telling(kind, Level.INTERNAL), occasion(OPENED)).text


def test_a_planned_maintenance_says_when_what_to_expect_and_when_the_next_word_comes():
    text = mail("maintenance", "en", "UTC").text
    assert text.startswith("Planned maintenance\nUpgrade of the reporting database")
    assert "Planned to begin: 04:04 UTC on 14 February 2026 (23:04 on 13 February in New York, 05:04 in Berlin)" in text
    assert sections(text)["WHAT TO EXPECT"] == "Reports cannot be opened for up to two hours."
    assert "Next message: when the work begins, or if the plan changes." in text
    one, about = STORY["maintenance"]
    assert words(one, replace(about, revision=1)).text.startswith("Planned maintenance, changed plan")
    soon = replace(one, kind=NoticeKind.MAINTENANCE_SOON)
    assert words(soon, about, Channel.SMS, "de", "Europe/Berlin").text.endswith(
        "Von 14. Februar, 05:04 Uhr (Berlin) bis 14. Februar, 07:04 Uhr (Berlin)."
    )


def test_a_maintenance_that_has_begun_says_until_when():
    one, about = STORY["maintenance"]
    begun = replace(about, at=MAINTENANCE.starts_at or AT)
    text = words(replace(one, kind=NoticeKind.MAINTENANCE_STARTED), begun, Channel.SMS, zone="Europe/Berlin").text
    assert text.endswith("Planned until 07:04 Berlin time.")


def test_earlier_incidents_are_one_line_for_technical_readers():
    known = OPENED.model_copy(update={"earlier": ("a-1 (Cards fail)", "a-2 (Logins fail)")})
    one = telling(NoticeKind.OPENED, Level.TECHNICAL)
    assert sections(words(one, occasion(known)).text)["EARLIER INCIDENTS ON THE SAME COMPONENTS"] == (
        "a-1 (Cards fail); a-2 (Logins fail)"
    )
    assert "a-1" not in words(replace(one, level=Level.CUSTOMER), occasion(known)).text


def test_an_admission_is_told_once_it_was_released():
    known = OPENED.model_copy(update={"ownership": "We made a mistake."})
    one = telling(NoticeKind.OPENED)
    assert "mistake" not in words(one, occasion(known)).text
    assert (
        "OUR RESPONSIBILITY\nWe made a mistake." in words(one, occasion(known, released=frozenset({"ownership"}))).text
    )


def test_the_subject_stays_while_the_title_changes_in_each_language():
    renamed = OPENED.model_copy(update={"title": "Payments fail", "translations": None})
    one = telling(NoticeKind.UPDATED)
    first, later = occasion(OPENED), occasion(renamed, OPENED, subject=OPENED.title, at=AT + timedelta(minutes=9))
    for language, subject in (("en", "Card payments fail in"), ("de", "Kartenzahlungen in Europa")):
        assert words(one, first, language=language).subject.startswith(subject)
        assert words(one, first, language=language).subject == words(one, later, language=language).subject
    assert "\nPayments fail\n" in words(one, later).text


def test_who_answers_is_the_policys_contact_where_nobody_was_named_and_unknown_where_there_is_none():
    one, about = telling(NoticeKind.OPENED), occasion(OPENED.model_copy(update={"contact": None}))
    assert "Who answers questions is not yet known; we ask for your patience" in words(one, about).text
    assert "contact" not in words(replace(one, level=Level.PUBLIC), about).text
    assert (
        words(replace(one, level=Level.PUBLIC), about).text.count("We ask for your patience while the work goes on.")
        == 1
    )


def test_a_resolution_that_nobody_watched_claims_no_more_than_was_said():
    one, about = STORY["resolved"]
    known = RESOLVED.model_copy(update={"held_since": None, "began_at": None, "ended_at": None})
    parts = sections(words(one, replace(about, known=known, reported_at=AT - HOUR)).text)
    assert parts["RECOVERY"] == "Reported as complete."
    assert parts["TIMING"].startswith("First reported: 15:04 UTC on 11 February 2026")
