"""Templates: one structure for all languages, words in one file each, and any of them a team's own."""

from dataclasses import replace

import pytest

from pipeline import policy
from pipeline.decide.compose import compose
from pipeline.errors import PolicyError
from pipeline.policy import Policy
from schemas.base import Channel
from schemas.journal import NoticeKind
from schemas.policy import PolicyPublished, hash_of
from tests.decide.compose.notices import OPENED, occasion, telling
from tests.paths import REPOSITORY

SHIPPED = policy.load(REPOSITORY / "deploy" / "policies" / "small-saas").documents
EVERYWHERE = telling(NoticeKind.OPENED, channels=tuple(Channel))


def with_templates(changed: dict[str, str]) -> Policy:
    documents = dict(SHIPPED) | {f"templates/{name}": text for name, text in changed.items()}
    return policy.compile(PolicyPublished(name="own", hash=hash_of(documents), documents=documents))


def spoken(own: Policy) -> dict[tuple[str, Channel], str]:
    return {(r.language, r.content.channel): r.content.text for r in compose(EVERYWHERE, occasion(OPENED), own)}


def test_a_shared_template_changes_every_language_and_a_languages_own_only_that_one():
    own = '{% set head = "Hello " ~ incident %}{% set body, tail, pointer = "", "", "" %}'
    shared, german = spoken(with_templates({"sms.txt.j2": own})), spoken(with_templates({"de/sms.txt.j2": own}))
    assert {shared[language, Channel.SMS] for language in ("en", "de")} == {"Hello payments-overnight"}
    assert german["de", Channel.SMS] == "Hello payments-overnight"
    assert german["en", Channel.SMS].startswith("Service status: Critical incident")


def test_a_languages_words_are_changed_in_its_phrases_alone():
    phrases = SHIPPED["templates/en/phrases.j2"].replace('"Consequences now"', '"What you notice"')
    mails = spoken(with_templates({"en/phrases.j2": phrases}))
    assert "\nWHAT YOU NOTICE\n" in mails["en", Channel.EMAIL]
    assert mails["de", Channel.EMAIL] == spoken(with_templates({}))["de", Channel.EMAIL]


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("content.j2", "", "templates/content.j2: KeyError: 'title'"),
        ("content.j2", "{{ it.nonsense }}", "templates/content.j2: UndefinedError: .*nonsense"),
        ("sections.j2", '{% set sections = [("Heading", it.nonsense)] %}', "templates/sections.j2: UndefinedError: "),
        ("de/sms.txt.j2", '{% set head = 1 / 0 %}', "templates/de/sms.txt.j2: ZeroDivisionError: "),
        ("x.txt.j2", "{% set head = it.internal_notes %}", "templates/x.txt.j2: UndefinedError: "),
        ("email.html.j2", "{{ it.internal_notes }}", "templates/email.html.j2: UndefinedError: .*internal_notes"),
        ("de/phrases.j2", "", "templates/de/phrases.j2: AttributeError: .*times"),
    ],
)  # fmt: skip
def test_a_template_that_fails_is_named(name, text, says):
    own = with_templates({name: text})
    with pytest.raises(PolicyError, match=f"^{says}"):
        compose(EVERYWHERE, occasion(OPENED), own)


def test_a_failing_calendar_is_named_as_well():
    own = with_templates({"calendar.j2": ""})
    planned = OPENED.model_copy(update={"starts_at": OPENED.began_at, "ends_at": OPENED.next_update_at})
    about = replace(occasion(planned), maintenance=True)
    with pytest.raises(PolicyError, match=r"templates/calendar\.j2: KeyError"):
        compose(telling(NoticeKind.MAINTENANCE_SCHEDULED), about, own)
