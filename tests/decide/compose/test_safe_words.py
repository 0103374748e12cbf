"""The safe first notice: nothing of an event's own, wherever one looks, and still of use."""

from dataclasses import replace

import pytest

from pipeline.decide.compose import compose
from pipeline.decide.view import Known
from schemas.base import Channel, Level, Severity, State
from schemas.incident import Consequences, Contact, Crew, Translation
from schemas.journal import NoticeKind
from tests.decide.compose.notices import AT, HOUR, READERS, occasion, shipped, telling, told, words

SECRET = "acme-db-7"
LEAKY = Known(
    title=SECRET,
    severity=Severity.CRITICAL,
    state=State.INVESTIGATING,
    components=("Card payments", SECRET),
    regions=(SECRET,),
    summary=SECRET,
    consequences=Consequences(now=SECRET, expected=SECRET, lasting=SECRET, data_loss=SECRET),
    workaround=SECRET,
    good_news=SECRET,
    milestone=SECRET,
    contact=Contact(name=SECRET, reach=SECRET),
    crew=Crew(who=SECRET),
    technical_detail=SECRET,
    internal_notes=SECRET,
    ownership=SECRET,
    done=SECRET,
    planned=SECRET,
    root_cause=SECRET,
    review=SECRET,
    explanation=SECRET,
    earlier=(SECRET,),
    next_update_at=AT + HOUR,
    translations={"de": Translation(title=SECRET, summary=SECRET)},
)
SAFE = telling(NoticeKind.OPENED, safe=True)


@pytest.mark.parametrize("level", Level)
@pytest.mark.parametrize("kind", sorted(set(NoticeKind) - {NoticeKind.REMINDER}))
def test_nothing_of_the_event_is_in_any_rendering(level, kind):
    readers = replace(READERS, levels=tuple(Level))
    for over in (False, True):
        about = occasion(
            LEAKY, LEAKY, over=over, subject=SECRET, components_ever=(SECRET,), regions_ever=(SECRET,), readers=readers,
            released=frozenset({"ownership"}), maintenance=kind.startswith("maintenance"),
        )  # fmt: skip
        everything = telling(kind, level, safe=True, channels=tuple(Channel))
        for rendering in compose(everything, about, shipped()):
            assert SECRET not in rendering.model_dump_json()


def test_it_names_the_parts_that_the_catalogue_has_plain_words_for_and_when_the_next_word_comes():
    mail = words(SAFE, occasion(LEAKY))
    assert mail.text.startswith(
        "Critical incident, being investigated\nProblem with payments by card\n\nWe know of this"
    )
    assert "Next update: by 17:04 UTC on 11 February 2026" in mail.text
    assert mail.subject == "Problem with payments by card [payments-overnight]"
    german = words(SAFE, occasion(LEAKY), language="de")
    assert german.subject == "Störung: Kartenzahlungen [payments-overnight]"
    both = LEAKY.model_copy(update={"components": ("Card payments", "Payouts")})
    assert words(SAFE, occasion(both), language="de").subject.startswith("Störung: Kartenzahlungen und Auszahlungen [")


def test_of_parts_that_nobody_listed_it_says_that_a_part_is_concerned():
    unknown = LEAKY.model_copy(update={"components": (SECRET,)})
    assert words(SAFE, occasion(unknown)).subject.startswith("Problem with part of our service [")
    assert words(SAFE, occasion(unknown), language="de").subject.startswith("Störung eines Teils unseres Dienstes [")
    assert "Not yet known which parts." in words(SAFE, occasion(unknown)).text


def test_it_names_the_policys_own_contact():
    policy = shipped()
    named = policy.languages.model_copy(update={"contact": Contact(name="Desk", reach="desk@example.com")})
    (rendering, *_) = compose(SAFE, occasion(LEAKY), replace(policy, languages=named, hash="6" * 64))
    assert "Questions are answered by Desk (desk@example.com)" in rendering.content.text


def test_a_text_message_in_safe_words_is_short():
    sms = told(SAFE, occasion(LEAKY), Channel.SMS).content
    assert sms.segments == 1
    assert sms.text.startswith("Service status: Critical incident, being investigated. Problem with payments by card.")
