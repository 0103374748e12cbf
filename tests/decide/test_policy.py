"""Policies: sound ones are compiled once by hash, wrong ones are named with file, line and fix."""

import shutil
from pathlib import Path

import pytest
from jinja2.exceptions import SecurityError, UndefinedError

from pipeline import policy
from pipeline.decide.rehearse import rehearse
from pipeline.errors import PolicyError
from schemas.base import Channel, Level, Severity
from schemas.incident import EVENTS
from schemas.journal import NoticeKind
from schemas.policy import PolicyPublished, hash_of
from tests.decide.stories import default_policy
from tests.paths import REPOSITORY

DEFAULT = REPOSITORY / "deploy" / "policies" / "default"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return Path(shutil.copytree(DEFAULT, tmp_path / "mine"))


def test_the_policy_that_ships_is_sound_and_speaks_every_kind_of_notice():
    assert rehearse(default_policy()) > 400


def test_the_same_documents_are_compiled_once_and_named_by_their_hash():
    published = policy.load(DEFAULT)
    assert published.name == "default"
    assert published.hash == hash_of(published.documents)
    assert policy.compile(published) is policy.compile(policy.load(DEFAULT))


def test_the_templates_are_part_of_the_policy():
    published = policy.load(DEFAULT)
    assert "templates/en/email.html.j2" in published.documents
    changed = published.documents | {"templates/en/sms.txt.j2": '{% set head = "Hello" %}'}
    assert hash_of(changed) != published.hash


def test_the_policy_that_ships_says_what_the_readme_says():
    audiences = default_policy().audiences
    assert {name: group.level for name, group in audiences.items()} == {
        "technical": Level.TECHNICAL,
        "executives": Level.EXECUTIVE,
        "customers": Level.CUSTOMER,
        "public": Level.PUBLIC,
    }
    assert audiences["customers"].channels[Channel.SMS] == {
        NoticeKind.OPENED,
        NoticeKind.RESOLVED,
        NoticeKind.REOPENED,
        NoticeKind.MAINTENANCE_STARTED,
    }
    assert audiences["technical"].from_severity is Severity.NONE


@pytest.mark.parametrize(
    ("document", "old", "new", "complaint"),
    [
        ("audiences.yaml", "[opened, resolved, reopened", "[opned, resolved, reopened",
         r"audiences.yaml:\d+: audiences.customers.channels.sms: 'opned' is no kind of notice; use opened, updated"),
        ("audiences.yaml", "level: executive", "level: boss",
         r"audiences.yaml:\d+: audiences.executives.level: Input should be 'public', 'customer'"),
        ("audiences.yaml", "level: executive", "levle: executive",
         r"audiences.yaml:\d+: audiences.executives.level is missing; add it"),
        ("audiences.yaml", "  executives:", "  technical:", r"audiences.yaml:18: 'technical' stands twice; keep one"),
        ("audiences.yaml", "email: every notice", "email: [", r"audiences.yaml:\d+: "),
        ("cadence.yaml", "severities: [none, minor]", "severities: [none]",
         r"cadence.yaml:4: sizes: severity 'minor' must stand in exactly one of small and large"),
        ("cadence.yaml", "good news is told at once: true", "good news is told at once: perhaps",
         r"cadence.yaml:17: good news is told at once: Input should be a valid boolean"),
        ("cadence.yaml", "lanes:", "lanse:", r"cadence.yaml:\d+: lanse is not known here; remove it"),
        ("approvals.yaml", "ownership: legal", "owner: legal",
         r"approvals.yaml:3: the document: 'owner' is no field of an event; use one of began_at"),
        ("voice.yaml", "language: en", "language: fr", r"voice.yaml:3: language 'fr' has no template content.j2"),
        ("voice.yaml", "Berlin: Europe/Berlin", "Berlin: Europe/Berln", r"voice.yaml:\d+: .*'Europe/Berln' is no"),
        ("voice.yaml", "link on X: null", "link on X: ftp://example.com", r"voice.yaml:\d+: link on X: "),
    ],
)  # fmt: skip
def test_a_wrong_document_is_named_with_line_and_fix(directory, document, old, new, complaint):
    path = directory / document
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(PolicyError, match=complaint):
        policy.load(directory)


def test_the_line_named_is_the_line_that_is_wrong(directory):
    path = directory / "audiences.yaml"
    lines = path.read_text().splitlines()
    number = next(i for i, line in enumerate(lines, 1) if "level: customer" in line and not line.startswith("#"))
    lines[number - 1] = "    level: client"
    path.write_text("\n".join(lines))
    with pytest.raises(PolicyError, match=f"^audiences.yaml:{number}: "):
        policy.load(directory)


def test_a_missing_document_and_an_unknown_one_are_refused(directory):
    (directory / "cadense.yaml").write_text("sizes: {}")
    with pytest.raises(PolicyError, match=r"cadense.yaml: no policy document is called so"):
        policy.load(directory)
    (directory / "cadense.yaml").unlink()
    (directory / "cadence.yaml").unlink()
    with pytest.raises(PolicyError, match=r"cadence.yaml is missing; copy it"):
        policy.load(directory)


def with_template(name: str, text: str) -> policy.Policy:
    documents = policy.load(DEFAULT).documents | {f"templates/en/{name}": text}
    return policy.compile(PolicyPublished(name="tried", hash=hash_of(documents), documents=documents))


def test_a_template_that_does_not_parse_is_named_with_its_line():
    with pytest.raises(PolicyError, match=r"templates/en/sms.txt.j2:2: "):
        with_template("sms.txt.j2", "{% set head = 1 %}\n{% if %}")


def test_a_template_that_names_what_its_audience_may_not_see_fails_the_rehearsal():
    leaking = with_template("email.txt.j2", "{{ it.technical_detail }} {{ unsubscribe }}")
    with pytest.raises(PolicyError, match=r"templates/en/email.txt.j2: UndefinedError: .*technical_detail"):
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
def test_a_template_can_neither_reach_out_nor_change_anything_nor_be_random(text):
    with pytest.raises((PolicyError, SecurityError, UndefinedError)):
        rehearse(with_template("email.txt.j2", text))


def test_the_rehearsal_tries_every_kind_of_event():
    from pipeline.decide import rehearse as module

    tried = {type(event) for event in module._story(Severity.MINOR, {})}
    assert tried == set(EVENTS)
