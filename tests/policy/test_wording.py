"""A team's own words: templates in its folder take the place of ours, and are published with the policy."""

from pathlib import Path

import pytest
from jinja2.exceptions import SecurityError

from pipeline import policy
from pipeline.decide.rehearse import rehearse
from pipeline.errors import PolicyError
from pipeline.policy import wording
from schemas.policy import PolicyPublished, hash_of
from tests.policy.folders import DEFAULT, copied, replace

OURS = {name for name in policy.load(DEFAULT).documents if name.startswith("templates/")}


def own(directory: Path, name: str, text: str) -> None:
    path = directory / "templates" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def with_template(name: str, text: str) -> policy.Policy:
    documents = policy.load(DEFAULT).documents | {f"templates/{name}": text}
    return policy.compile(PolicyPublished(name="tried", hash=hash_of(documents), documents=documents))


def test_the_templates_are_part_of_the_policy_and_of_its_hash() -> None:
    published = policy.load(DEFAULT)
    assert "templates/en/phrases.j2" in published.documents
    changed = published.documents | {"templates/sms.txt.j2": '{% set head = "Hello" %}'}
    assert hash_of(changed) != published.hash


def test_a_template_of_a_team_takes_the_place_of_ours_for_all_languages_or_for_one(tmp_path: Path) -> None:
    directory = copied(tmp_path)
    own(directory, "sms.txt.j2", "{# ours for all #}")
    own(directory, "de/email.txt.j2", "{# only in German #}")
    own(directory, ".sms.txt.j2.swp", "what an editor leaves")
    own(directory, "sms.txt.j2~", "what another leaves")
    published = policy.load(directory)
    names = {name for name in published.documents if name.startswith("templates/")}
    assert published.documents["templates/sms.txt.j2"] == "{# ours for all #}"
    assert names == OURS | {"templates/de/email.txt.j2"}
    assert published.hash != policy.load(DEFAULT).hash


def test_a_language_of_a_team_needs_the_words_that_english_has(tmp_path: Path) -> None:
    directory = copied(tmp_path)
    replace(directory, "languages.yaml", "languages: [en, de]", "languages: [en, fr]")
    with pytest.raises(
        PolicyError, match=r"languages.yaml:3: .* no template templates/fr/phrases.j2; add it, or remove"
    ):
        policy.load(directory)
    for name in ("phrases.j2", "confirmation.j2"):
        own(directory, f"fr/{name}", policy.load(DEFAULT).documents[f"templates/en/{name}"])
    assert policy.compile(policy.load(directory)).languages.languages == ("en", "fr")


def test_a_template_that_is_none_of_ours_is_refused_with_the_one_that_was_meant(tmp_path: Path) -> None:
    directory = copied(tmp_path)
    own(directory, "emial.txt.j2", "")
    own(directory, "de/sms.txt", "")
    with pytest.raises(PolicyError) as caught:
        policy.load(directory)
    assert str(caught.value).splitlines() == [
        f"templates/{name}:1: no template of ours is called so, so it is never used; did you mean {meant!r}?"
        for name, meant in (("de/sms.txt", "templates/sms.txt.j2"), ("emial.txt.j2", "templates/email.txt.j2"))
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{% set head = 1 %}\n{% if %}", "2: Expected an expression, got 'end of statement block'"),
        ("a\nb\n{{ x | shout }}", "3: No filter named 'shout'."),
        ("a\n{% for x in y %}", "2: Unexpected end of template."),
    ],
)
def test_a_broken_template_is_named_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    directory = copied(tmp_path)
    own(directory, "sms.txt.j2", text)
    with pytest.raises(PolicyError, match=rf"^templates/sms.txt.j2:{said}.*; mend the tag in this line$"):
        policy.load(directory)


def test_a_template_that_names_what_its_readers_may_not_see_fails_the_rehearsal_with_its_line() -> None:
    leaking = with_template("email.txt.j2", "Hello.\n{{ it.technical_detail }} {{ unsubscribe }}")
    said = r"a notice 'opened' cannot be spoken for level public \(UndefinedError: .*technical_detail"
    with pytest.raises(PolicyError, match=rf"^templates/email.txt.j2:2: {said}.*\); mend the template$"):
        rehearse(leaking)


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ it.update({}) }}",
        "{{ [1, 2] | random }}",
        "{{ lipsum(1) }}",
        "{% include '/etc/passwd' %}",
    ],
)
def test_a_template_can_neither_reach_out_nor_change_anything_nor_be_random(text: str) -> None:
    with pytest.raises((PolicyError, SecurityError)):
        rehearse(with_template("email.txt.j2", text))


def test_where_no_policy_has_words_ours_are_spoken() -> None:
    spoken = wording.ours()
    assert {f"templates/{name}" for name in spoken.list_templates()} == OURS
    assert spoken.loader is not None
    for name in spoken.list_templates():
        assert spoken.loader.get_source(spoken, name)[0] == (wording.OURS / name).read_text("utf-8")
