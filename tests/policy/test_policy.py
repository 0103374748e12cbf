"""The policies that ship, and what becomes of a folder of documents: loaded, hashed, compiled once, said in words."""

import builtins
import io
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pipeline import policy
from pipeline.decide.guard import RULES
from pipeline.decide.rehearse import rehearse
from pipeline.errors import PolicyError
from pipeline.policy.audiences import TwoPeople
from pipeline.policy.described import described
from pipeline.policy.words import spelled
from schemas.base import Channel, Level, Severity, State
from schemas.census import Group
from schemas.journal import NoticeKind
from schemas.policy import PolicyPublished, hash_of
from tests.policy.folders import DEFAULT, NAMES, copied, replace


def compiled(name: str) -> policy.Policy:
    return policy.compile(policy.load(Path(name)))


@pytest.mark.parametrize("name", NAMES)
def test_every_policy_that_ships_is_sound_and_speaks_every_kind_of_notice(name: str) -> None:
    assert rehearse(compiled(name)) > 1000


@pytest.mark.parametrize("name", NAMES)
def test_every_policy_that_ships_has_the_audiences_of_the_sample_subscribers(name: str) -> None:
    levels = {audience: group.level for audience, group in compiled(name).audiences.items()}
    assert (
        levels.items()
        >= {
            "responders": Level.INTERNAL,
            "technical": Level.TECHNICAL,
            "executives": Level.EXECUTIVE,
            "customers": Level.CUSTOMER,
            "public": Level.PUBLIC,
        }.items()
    )


@pytest.mark.parametrize("name", NAMES)
def test_every_policy_that_ships_names_every_rule_of_the_guard_and_says_what_it_finds(name: str) -> None:
    lines = (policy.SHIPPED / name / "guard.yaml").read_text("utf-8").splitlines()
    for id, rule in RULES.items():
        place = next(place for place, line in enumerate(lines) if re.match(rf"  {id}: ", line))
        above: list[str] = []
        while (line := lines[place - 1 - len(above)]).startswith("  #"):
            above.insert(0, line.removeprefix("  # "))
        mends = f"mend: {rule.mends}" if rule.mends else "only a person can mend it"
        assert " ".join(above).startswith(f"{rule.guards} ({mends})")


def test_the_small_policy_says_what_the_readme_says() -> None:
    audiences = compiled("small-saas").audiences
    assert NoticeKind.UPDATED not in audiences["customers"].channels[Channel.SMS]
    assert audiences["customers"].channels[Channel.SMS] >= {NoticeKind.OPENED, NoticeKind.RESOLVED}
    assert audiences["technical"].from_severity is Severity.NONE
    assert all(audience.consent is None for audience in audiences.values())


def test_the_enterprise_asks_for_approval_outside_of_large_incidents_and_never_inside() -> None:
    enterprise = compiled("enterprise")
    for name, group in enterprise.audiences.items():
        outside = group.level in (Level.CUSTOMER, Level.PUBLIC)
        assert (group.consent is not None) is outside, name
        if group.consent is not None:
            assert "communications" in group.consent.by
            assert group.consent.needed_for(NoticeKind.OPENED, Severity.CRITICAL)
            assert group.consent.needed_for(NoticeKind.OPENED, None)
            assert not group.consent.needed_for(NoticeKind.OPENED, Severity.MINOR)
            assert not group.consent.needed_for(NoticeKind.UNCHANGED, Severity.CRITICAL)
    assert enterprise.safe_after("customers", ends=False) == enterprise.cadence.first_notice
    assert enterprise.audience.two_people_for(Severity.CRITICAL, 1, None, "customers")
    assert enterprise.audience.two_people_for(Severity.MAJOR, 600, 100, "public")
    assert not enterprise.audience.two_people_for(Severity.MAJOR, 400, 10, "public")
    assert not enterprise.audience.two_people_for(Severity.CRITICAL, 600, 100, "responders")


def test_the_regulated_policy_owes_an_authority_three_reports_each_read_by_a_lawyer() -> None:
    regulated = compiled("regulated")
    authority = regulated.audiences["authority"]
    assert {stage: within.total_seconds() / 3600 for stage, within in authority.duties.items()} == {
        "early warning": 24,
        "incident notification": 72,
        "final report": 720,
    }
    assert authority.consent is not None
    assert authority.consent.by == ("legal",)
    assert authority.consent.of == frozenset(NoticeKind)
    early = regulated.safe_after("authority", ends=False)
    assert early is not None
    assert early < authority.duties["early warning"]
    assert regulated.approvals == {"ownership": "legal", "contact": "legal", "root_cause": "legal"}


def test_who_is_outnumbered_and_by_how_much_decides_whether_one_person_is_enough() -> None:
    rule = TwoPeople.model_validate(
        {"more recipients than": 900, "times the usual number of recipients": 3, "but never below": 300, "by": ["lead"]}
    )
    audiences = compiled("small-saas").audience.model_copy(update={"two_people": rule})
    asked = {
        (expected, usual): audiences.two_people_for(Severity.MAJOR, expected, usual) is not None
        for expected, usual in [(900, None), (901, None), (300, 100), (301, 100), (300, 90), (299, 90), (400, None)]
    }
    assert asked == {
        (900, None): False,
        (901, None): True,
        (300, 100): False,
        (301, 100): True,
        (300, 90): True,
        (299, 90): False,
        (400, None): False,
    }


def test_how_long_an_incident_may_be_silent_hangs_on_severity_state_and_age() -> None:
    beat = compiled("small-saas").cadence.heartbeat

    def minutes(severity: Severity | None, state: State | None, hours: float = 0) -> float | None:
        silence = beat.silence(severity, state, timedelta(hours=hours))
        return None if silence is None else silence.total_seconds() / 60

    assert [minutes(Severity.MAJOR, state) for state in (None, *State)] == [45, 45, 45, 90, 45]
    assert [minutes(Severity.CRITICAL, State.MONITORING, hours) for hours in (0, 1.99, 2, 23.99, 24)] == [
        60, 60, 120, 120, 240
    ]  # fmt: skip
    assert minutes(None, None) is minutes(Severity.NONE, None) is None
    none = beat.model_copy(update={"silences": {Severity.NONE: beat.silences[Severity.MINOR]}})
    assert none.silence(None, State.IDENTIFIED, timedelta(0)) == timedelta(hours=1)


def test_an_incident_whose_severity_nobody_said_has_the_size_that_the_policy_says() -> None:
    cadence = compiled("small-saas").cadence
    assert not cadence.is_large(None)
    assert cadence.size(None) == cadence.size(Severity.MINOR) == cadence.sizes.small
    assert cadence.size(Severity.MAJOR) == cadence.sizes.large
    assert cadence.model_copy(update={"unsaid": "large"}).size(None) == cadence.sizes.large


def test_an_audience_goes_by_its_name_and_its_members() -> None:
    audiences = compiled("enterprise").audiences
    assert audiences["europe"].group("europe") == Group(audience="europe", regions=("Europe",))


def test_a_component_and_a_region_are_known_by_every_name_that_the_catalogue_has(tmp_path: Path) -> None:
    directory = copied(tmp_path)
    replace(directory, "catalogue.yaml", "components: {}\nregions: {}", CATALOGUE)
    catalogue = policy.compile(policy.load(directory)).catalogue
    assert [catalogue.component(word) for word in ("API", "Api", "interface", "Web")] == ["API", "API", "API", "Web"]
    assert [catalogue.region(word) for word in ("EUROPE", "eu", "Asia")] == ["Europe", "Europe", "Asia"]


@pytest.mark.parametrize(
    ("span", "said"),
    [
        ({}, "0s"),
        ({"seconds": 90}, "90s"),
        ({"minutes": 1}, "1m"),
        ({"minutes": 90}, "90m"),
        ({"hours": 1}, "1h"),
        ({"days": 3}, "72h"),
        ({"days": 4}, "4d"),
        ({"days": 4, "hours": 1}, "97h"),
    ],
)
def test_a_span_is_said_in_the_largest_unit_that_leaves_nothing_over(span: dict[str, int], said: str) -> None:
    assert spelled(timedelta(**span)) == said


def test_a_policy_that_ships_is_found_by_its_bare_name_and_a_folder_of_that_name_goes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert policy.find(Path("enterprise")) == policy.SHIPPED / "enterprise"
    (tmp_path / "enterprise").mkdir()
    assert policy.find(Path("enterprise")) == Path("enterprise")
    with pytest.raises(
        PolicyError, match=r"^enterprize is no directory, .*'enterprise'\? .* with audiences.yaml, cadence"
    ):
        policy.find(Path("enterprize"))
    with pytest.raises(PolicyError, match=r"somewhere/small-saas is no directory"):
        policy.find(tmp_path / "somewhere" / "small-saas")


def test_a_folder_whose_name_cannot_name_a_policy_is_refused(tmp_path: Path) -> None:
    directory = copied(tmp_path).rename(tmp_path / "our policy")
    with pytest.raises(PolicyError, match=r"'our policy' names no policy; call the directory by letters, digits"):
        policy.load(directory)


def test_documents_too_large_for_the_broker_are_refused_here(tmp_path: Path) -> None:
    directory = copied(tmp_path)
    guard = directory / "guard.yaml"
    room = policy.MAX_BYTES - sum(len(text.encode()) for text in policy.load(directory).documents.values())
    filled = guard.read_text("utf-8") + "#ä" + "x" * (room - 3)
    guard.write_text(filled, "utf-8")
    policy.load(directory)
    guard.write_text(filled + "x", "utf-8")
    with pytest.raises(PolicyError, match=r"mine has 900001 bytes; make it smaller: a record takes 900000 at most"):
        policy.load(directory)


def test_the_same_documents_are_compiled_once_and_named_by_their_hash() -> None:
    published = policy.load(DEFAULT)
    assert published.name == "small-saas"
    assert published.hash == hash_of(published.documents)
    ready = policy.compile(published)
    assert (ready.name, ready.hash) == (published.name, published.hash)
    assert ready is policy.compile(policy.load(DEFAULT))


def test_compiling_opens_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = copied(tmp_path)
    replace(directory, "languages.yaml", "Service status", "Acme status")
    published = policy.load(directory)
    documents = {**published.documents, "guard.yaml": "rules: {blame: mend}\n"}
    opened: list[object] = []

    def refused(file: object, *_: Any, **__: Any) -> None:
        opened.append(file)
        raise AssertionError(f"{file} is opened")

    for module in (builtins, io):
        monkeypatch.setattr(module, "open", refused)
    fresh = policy.compile(PolicyPublished(name="mine", hash=hash_of(documents), documents=documents))
    assert fresh.guard.rules == {"blame": "mend"}
    assert not opened


def test_what_is_said_in_words_leaves_nothing_out() -> None:
    lines = {name: "\n".join(described(compiled(name))) for name in NAMES}
    for words in (
        "europe: whoever chose it or has the region Europe; they see what is for level customer",
        "customers are told only with the approval of communications in major or critical incidents: opened, updated",
        "a first notice waits 5m for it, a last one 1h; then the safe text goes out",
        "what concerns Payments is approved by legal, as the contract payment-services asks",
        "two people, communications among them, must approve a notice to premium, europe, customers and public",
        "longest silence in a critical incident: 20m while investigating, 30m once identified, 1h while monitoring",
        "executives, premium, europe and customers hear how it stands 30m before closing and at opening",
        "no sms from 22:00 to 07:00 by their own clock, except in critical incidents",
        "at most 8 by sms within 1h; ends of incidents do not count",
        "hold   promised-end: an estimate of when it will be over",
        "as 'Service status', in en and de; whoever chose another reads en",
    ):
        assert words in lines["enterprise"], words
    for words in (
        "early warning: must be told within 24h of the beginning",
        "final report: must be told within 30d of the beginning",
        "a first notice waits 23h for it, a last one 23h; then the safe text goes out",
        "root cause is told only with the approval of legal",
    ):
        assert words in lines["regulated"], words


def test_everything_that_a_policy_can_say_is_said_in_words(tmp_path: Path) -> None:
    directory = copied(tmp_path)
    replace(directory, "audiences.yaml", "private incidents are told to: [responders]", NEVER)
    replace(directory, "cadence.yaml", "working days: Mon to Fri", "country: DE\n  closed on: [2026-12-24]")
    replace(directory, "catalogue.yaml", "components: {}\nregions: {}", CATALOGUE)
    replace(directory, "guard.yaml", "never told outside: []", "never told outside: [falcon]")
    replace(directory, "languages.yaml", "contact: null", "contact: {name: Desk, reach: desk@example.com}")
    lines = "\n".join(described(policy.compile(policy.load(directory))))
    for words in (
        "never told of component API and severity minor: public, because too small",
        "never told of anything: whoever chose it or has the contract gold, because they left",
        "private incidents are told only to whom they name themselves",
        "public holidays: those of DE",
        "closed on 2026-12-24",
        "API, also called interface; in de 'Schnittstelle'; in en, when it fails: 'Errors.'; looked after by us; "
        "on duty: Desk (desk@example.com); in Europe",
        "Europe, also called EU; a region by the clock of Europe/Berlin",
        "never told outside: falcon",
        "contact, where an event names none: Desk (desk@example.com)",
    ):
        assert words in lines, words


NEVER = """never tell:
  - {audience: public, components: [API], severities: [minor], because: too small}
  - {members: {contracts: [gold]}, because: they left}"""
CATALOGUE = """components:
  API:
    also called: [interface]
    in plain words: {de: Schnittstelle}
    when it fails: {en: Errors.}
    owner: us
    on duty: {name: Desk, reach: desk@example.com}
    regions: [Europe]
regions: {Europe: {also called: [EU], time zone: Europe/Berlin}}"""
