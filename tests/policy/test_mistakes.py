"""Every mistake that a person makes in a policy is answered with file, line, what is wrong, and what to write."""

from pathlib import Path

import pytest

from pipeline import policy
from pipeline.errors import PolicyError
from pipeline.policy import SHIPPED
from schemas.policy import PolicyPublished, hash_of
from tests.policy.folders import copied, line_with, replace

A, C, G, K, L = "audiences.yaml", "cadence.yaml", "guard.yaml", "catalogue.yaml", "languages.yaml"
COMPONENTS = "components: {}"
KINDS = "opened, updated, impact changed, milestone, monitoring, unchanged"

MISTAKES = [
    # --- keys
    (A, "hears from severity: minor", "hears from: minor", "hears from: minor",
     "audiences.executives: 'hears from' is not known here; did you mean 'hears from severity'?"),
    (C, "minimum gap between updates: 5m", "min gap between updates: 5m", "min gap",
     "'min gap between updates' is not known here; did you mean 'minimum gap between updates'?"),
    (C, "opens: 09:00", "open: 09:00", "open: 09:00",
     "office: 'open' is not known here; did you mean 'opens'?"),
    (C, "lanes:", "xyz:", "xyz:",
     "'xyz' is not known here; use one of sizes, while the severity is unsaid, it is, good news is told at once, "),
    (L, "name: Service status", "", "languages:", "'name' is missing; add it"),
    (A, "  executives:", "  technical:", None, "'technical' stands twice; keep one"),
    (A, "may hold", "never tell: [{because: small, members: {role: [x]}}]\nmay hold", "never tell",
     "never tell.members: 'role' is not known here; did you mean 'roles'?"),
    # --- words
    (A, "sms: [opened, resolved", "sms: [opned, resolved", "opned",
     "audiences.customers.channels.sms: 'opned' is no kind of notice; did you mean 'opened'?"),
    (A, "x: [opened, updated", "x: [xyz, updated", "xyz",
     f"audiences.public.channels.x: 'xyz' is no kind of notice; use one of {KINDS}, "),
    (A, "email: every notice", "email: all notices", "all notices",
     "audiences.responders.channels.email: 'all notices' is no list of kinds of notice; "
     "write 'every notice', or like [opened]"),
    (A, "level: executive", "level: executives", "level: executives",
     "audiences.executives.level: 'executives' is no level; did you mean 'executive'?"),
    (A, "    level: customer", "    level:", "    level:\n",
     "audiences.customers.level: nothing is no level; use one of public, customer, executive, technical, internal"),
    (A, "    level: customer", "    level: {a: b}", "{a: b}",
     "audiences.customers.level: what stands here is no level; use one of public, customer, executive, technical, "),
    (A, "    level: customer", f"    level: {'x' * 60}", "xxx", f"audiences.customers.level: '{'x' * 60}' is no level"),
    (A, "    level: customer", f"    level: {'x' * 61}", "xxx",
     f"audiences.customers.level: '{'x' * 60}…' is no level"),
    (A, "hears from severity: none", "hears from severity: low", "low",
     "audiences.responders.hears from severity: 'low' is no severity; use one of none, minor, major, critical"),
    (A, "      x: [opened", "      twitter: [opened", "twitter",
     "audiences.public.channels.twitter: 'twitter' is no channel; use one of email, sms, x"),
    (C, "critical: {inv", "kritical: {inv", "kritical",
     "heartbeat.longest silence.kritical: 'kritical' is no severity; did you mean 'critical'?"),
    (C, "{investigating: 30m, identified", "{investigate: 30m, identified", "investigate:",
     "heartbeat.longest silence.critical: 'investigate' is not known here; did you mean 'investigating'?"),
    (C, "it is: small", "it is: medium", "medium",
     "while the severity is unsaid, it is: 'medium' is no size; write small or large"),
    (G, "same-text: refuse", "same-text: block", "block",
     "rules.same-text: 'block' is no action; use one of mend, hold, refuse, off"),
    (G, "same-text: refuse", "same-text: refused", "refused",
     "rules.same-text: 'refused' is no action; did you mean 'refuse'?"),
    (A, "by: [incident-manager]", "by: [incident manager]", "by: [",
     "two people must approve.by: 'incident manager' is no name; use letters, digits and . _ : - only, no blank"),
    # --- times
    (C, "updates: 5m", "updates: 5 mins", "5 mins",
     "minimum gap between updates: '5 mins' is no span of time; write one like 30m, 24h or 3d"),
    (C, "updates: 5m", "updates: 5", "updates: 5",
     "minimum gap between updates: '5' is no span of time; write one like 30m, 24h or 3d"),
    (C, "not before: 24h", "not before: 500d", "500d",
     "review.not before: '500d' is longer than a year; write at most 366d"),
    (C, "within: 1h\n  dig", "within: 0m\n  dig", "within: 0m",
     "one recipient.within: no time at all is no span here; write one like 30m"),
    (C, "opens: 09:00", "opens: 9 am", "9 am",
     "office.opens: '9 am' is no time of day; write one from \"00:00\" to \"23:59\""),
    (C, "closes: 17:00", "closes: 08:00", "closes",
     "office.closes: closes at 08:00, which is not after it opens (09:00); an office must close before "),
    (C, "digest at: 17:00", "digest at: 25:00", "digest",
     "one recipient.digest at: '25:00' is no time of day; write one from \"00:00\" to \"23:59\""),
    (C, "22:00 to 07:00", "22:00-07:00", "22:00-07:00",
     "one recipient.quiet hours.sms: '22:00-07:00' are no hours; write them like 22:00 to 07:00"),
    (C, "22:00 to 07:00", "22:00 to 07:00 to 08:00", "22:00 to",
     "one recipient.quiet hours.sms: '07:00 to 08:00' is no time of day; write one from \"00:00\" to \"23:59\""),
    (C, "22:00 to 07:00", "22:00 to 22:00", "22:00 to 22:00",
     "one recipient.quiet hours.sms: 'from' and 'until' are the same time; write two, or leave the quiet hours out"),
    (C, "days: Mon to Fri", "days: Mon to Fry", "Fry",
     "office.working days: 'Fry' is no weekday; write days like 'Mon to Fri', or a list like [Mon, Tue, Thu]"),
    (C, "working days: Mon to Fri", "country: UK", "country",
     "office.country: 'UK' is no country whose public holidays are known; write an ISO 3166-1 code such as DE"),
    (C, "working days: Mon to Fri", "country: DE\n  subdivision: XX", "subdivision",
     "office.subdivision: 'XX' is no subdivision of DE with holidays of its own; use one of BB, "),
    (C, "audiences: [executives, customers]", "audiences: []\n  where nobody's zone is known: []", "where nobody",
     "office.where nobody's zone is known: nothing stands here; name at least one"),
    (L, "Europe/Berlin", "Europe/Berln", "Berln",
     "clocks beside UTC.Berlin: 'Europe/Berln' is no time zone; write one like Europe/Berlin"),
    # --- numbers and kinds of value
    (C, "times: 2}", "times: two}", "two",
     "heartbeat.slower in a long incident.times: 'two' is no number; write one like 10"),
    (C, "times: 2}", "times: 0.5}", "0.5",
     "heartbeat.slower in a long incident.times: '0.5' is too small; write at least 1"),
    (C, "sms: 5}", "sms: 5.5}", "5.5", "one recipient.at most.sms: '5.5' is no whole number; write one like 10"),
    (C, "days: {critical: 3}", "days: {critical: 900}", "900",
     "review.due after days.critical: '900' is too large; write at most 366"),
    (C, "at once: true", "at once: perhaps", "perhaps",
     "good news is told at once: 'perhaps' is neither true nor false; write one of them"),
    (C, "[24h, 1h]", "24h", "maintenance is announced",
     "maintenance is announced again this long before: '24h' is no list; write it like [one, other]"),
    (C, "sizes:", "sizes: small\nxyz:", "sizes: small",
     "sizes: 'small' is no group of keys; write each key with its value on a line of its own"),
    (L, "name: Service status", "name: [Service, status]", "name:",
     "name: a list is no text; write one after the colon"),
    (L, "name: Service status", 'name: ""', "name:", "name: nothing stands here; write a text"),
    (L, "New York: America/New_York", "A: UTC\n  B: UTC\n  D: UTC", "clocks beside",
     "clocks beside UTC: these are too many; keep at most 3"),
    (L, "link on X: null", "link on X: example.com", "link on X",
     "link on X: 'example.com' is no link; write one that begins with https://, or null for none"),
    (L, "languages: [en, de]", "languages: [english]", "languages:",
     "languages: 'english' is no language; write its two letters (ISO 639-1), like en or de"),
    # --- what does not fit together in one document
    (C, "severities: [none, minor]", "severities: [none]", "sizes:",
     "sizes: severity 'minor' stands neither in small nor in large; add it to one"),
    (C, "severities: [none, minor]", "severities: [none, minor, major]", "sizes:",
     "sizes: severity 'major' stands 2 times; keep it once"),
    (C, "critical: {investigating: 30m", "critical: {investigating: 12m", "12m",
     "heartbeat.longest silence.critical.investigating: 12m is too short; write more than 12m: "
     "the reminder and the promise must find room in it"),
    (C, "updates: 5m", "updates: 30m", "critical: {investigating",
     "heartbeat.longest silence.critical.investigating: 30m is too short; write more than 30m, "
     "the minimum gap between updates"),
    (C, "identified: 30m, monitoring: 60m", "identified: 30m, monitoring: 3m", "3m}",
     "heartbeat.longest silence.critical.monitoring: 3m is too short; write more than 12m"),
    (C, "identified: 30m, monitoring: 60m", "identified: 3m, monitoring: 60m", "3m,",
     "heartbeat.longest silence.critical.identified: 3m is too short; write more than 12m"),
    (C, "working days: {major: 5}", "working days: {critical: 5}", "working days: {critical",
     "review.due after working days.critical: this is due after days already; keep one of both"),
    (A, "ownership: legal", "owner: legal", "owner:",
     "told only with the approval of.owner: an event has no such field; did you mean 'ownership'?"),
    (A, "to: [responders]", "to: [responder]", "to: [responder]",
     "private incidents are told to: 'responder' is no audience; did you mean 'responders'?"),
    (A, "may hold", "never tell: [{audience: press, because: so it is}]\nmay hold", "never tell",
     "never tell.audience: 'press' is no audience; use one of responders, technical, executives, customers, public"),
    (A, "but never below: 1000", "of notices to: [press]", "of notices to",
     "two people must approve.of notices to: 'press' is no audience; use one of responders, "),
    (A, "may hold", "never tell: [{because: so it is}]\nmay hold", "never tell",
     "never tell: this says nobody; name an audience, or members"),
    (A, "    level: public", "    level: customer", "x: [opened",
     "audiences.public.channels.x: posts are public, but the level is customer; remove x, or say public"),
    (L, "another language reads: en", "another language reads: fr", "reads: fr",
     "whoever chose another language reads: 'fr' is not among the languages; use one of en, de"),
    (K, COMPONENTS, "components: {API: {also called: [api]}, Web: {also called: [API]}}", "components",
     "components.Web.also called: 'API' is what 'API' is called already; keep one"),
    (K, COMPONENTS, "components:\n  API: {}\n  Web:\n    also called:\n      - Page\n      - api", "- api",
     "components.Web.also called: 'api' is what 'API' is called already; keep one"),
    (K, COMPONENTS, "components: {API: {regions: [Europe]}}", "components",
     "components.API.regions: 'Europe' is not listed under regions; add it there"),
    (K, "contracts: {}", "contracts: {gold: {components: [Apo]}}", "contracts",
     "contracts.gold.components: 'Apo' is not listed under components; add it there"),
    # --- what does not fit together in several
    (C, "go to: responders", "go to: responder", "go to",
     "heartbeat.reminders go to: 'responder' is no audience; did you mean 'responders'?"),
    (C, "go to: responders", "go to: public", "go to",
     "heartbeat.reminders go to: no channel of 'public' carries a reminder; add it to one in audiences.yaml"),
    (C, "[executives, customers]", "[executives, clients]", "clients",
     "office.audiences: 'clients' is no audience; use one of responders, technical, executives, customers, public"),
    (C, "unchanged, resolved", "resolved", "minor: {",
     "heartbeat.longest silence.minor: minor incidents are never told as unchanged; add it to their size, or "
     "remove this"),
    (G, "rules:", "rules:\n  blam: hold", "blam:", "rules.blam: the guard has no such rule; did you mean 'blame'?"),
    (G, "  same-text: refuse", "  same-text: mend", "same-text: mend",
     "rules.same-text: only a person can mend this (an update that says only what was said before); "
     "write hold, refuse or off"),
    (L, "languages: [en, de]", "languages: [en, fr]", "languages:",
     "languages: 'fr' has no template templates/fr/phrases.j2; add it, or remove the language"),
    (K, COMPONENTS, "components: {API: {in plain words: {fr: l'interface}}}", "components",
     "components.API.in plain words.fr: nothing is told in this language; use one of en, de"),
    (K, COMPONENTS, "components: {API: {when it fails: {fr: Rien.}}}", "components",
     "components.API.when it fails.fr: nothing is told in this language; use one of en, de"),
    # --- YAML
    (A, "    level: internal", "\tlevel: internal", "\tlevel", "a tab stands here; indent with blanks"),
    (A, "    level: internal", "     level: internal", None,
     "this does not line up with the lines that it belongs to; indent it as they are"),
    (L, "name: Service status", "name: Service: status", "name:",
     "a second ': ' stands in this line; put the text in quotes, or begin a line"),
    (L, "name: Service status", 'name: "Service status', "name:", "a quote begins here and is not closed; add it"),
    (L, "languages: [en, de]", "languages: [en, de", "languages:", "a list begins here and is not closed; add ]"),
    (L, "link on X: null", "link on X: [", None, "a value is missing here; write one, or close what has begun"),
    (L, "name: Service status", "name: @service", "name:", "a text cannot begin with this character; put it in quotes"),
    (L, "name: Service status", "name: *service", "name:",
     "a text cannot begin with * unless it names an anchor; put it in quotes"),
    (L, "name: Service status", "name: !!int 3", "name:", "'!!int' means nothing here; remove it"),
    (L, "name: Service status", "? [a, b]\n: c\nname: Service status", "? [", "a key must be text; put it in quotes"),
    (L, "name: Service status", "name: &me [*me]", "name:", "an alias stands within what it names; write it out"),
    (L, "name: Service status", "name: Service\x07status", "name:", "the character #x7 cannot stand here; remove it"),
    (L, "name: Service status", "name: Service status\n---", "---",
     "a second document begins here; remove the line ---"),
    (L, "name: Service status", "%YAML 2.0\n---\nname: Service status", None,
     "this is no YAML (found incompatible YAML document (version 1.* is required)); mend it"),
]  # fmt: skip


@pytest.mark.parametrize(("document", "old", "new", "at", "said"), MISTAKES)
def test_a_mistake_is_named_with_file_line_and_fix(
    tmp_path: Path, document: str, old: str, new: str, at: str | None, said: str
) -> None:
    directory = copied(tmp_path)
    replace(directory, document, old, new)
    with pytest.raises(PolicyError) as caught:
        policy.load(directory)
    found = dict(line.split(": ", 1)[::-1] for line in str(caught.value).splitlines())
    [place] = [place for text, place in found.items() if text.startswith(said)] or [f"not among {found}"]
    name, _, line = place.partition(":")
    assert name == document
    if at is not None:
        assert int(line) == line_with(directory, document, at)


def test_all_mistakes_are_listed_at_once_file_by_file_and_line_by_line(tmp_path: Path) -> None:
    directory = copied(tmp_path)
    replace(directory, A, "level: executive", "level: boss")
    replace(directory, A, "level: technical", "levle: technical")
    replace(directory, C, "updates: 5m", "updates: soon")
    replace(directory, L, "languages: [en, de]", "languages: [en, de")
    replace(directory, G, "rules:", "rules:\n  same-text: hold")
    with pytest.raises(PolicyError) as caught:
        policy.load(directory)
    assert [line.partition(": ")[2] for line in str(caught.value).splitlines()] == [
        "audiences.technical: 'level' is missing; add it",
        "audiences.technical: 'levle' is not known here; did you mean 'level'?",
        "audiences.executives.level: 'boss' is no level; use one of public, customer, executive, technical, internal",
        "minimum gap between updates: 'soon' is no span of time; write one like 30m, 24h or 3d",
        "'same-text' stands twice; keep one",
        "a list begins here and is not closed; add ]",
    ]


def test_a_document_that_is_missing_empty_or_called_otherwise_is_named(tmp_path: Path) -> None:
    directory = copied(tmp_path)
    (directory / C).rename(directory / "cadense.yaml")
    (directory / G).write_text("# nothing\n")
    with pytest.raises(PolicyError) as caught:
        policy.load(directory)
    assert str(caught.value).splitlines() == [
        "cadence.yaml:1: this is missing; copy it from deploy/policies/small-saas and change it",
        "cadense.yaml:1: no policy document is called so; did you mean 'cadence.yaml'?",
        "guard.yaml:1: the document is empty; copy one from deploy/policies/small-saas",
    ]


def test_what_is_no_text_at_all_is_named_by_its_path(tmp_path: Path) -> None:
    directory = copied(tmp_path)
    (directory / C).write_bytes(b"\xff\xfe")
    with pytest.raises(PolicyError, match=r"mine/cadence.yaml: this cannot be read as UTF-8 text"):
        policy.load(directory)


def test_a_list_nested_too_deeply_is_refused_and_aliases_do_not_multiply(tmp_path: Path) -> None:
    directory = copied(tmp_path)
    (directory / L).write_text("[" * 5000)
    with pytest.raises(PolicyError, match=r"languages.yaml:1: this is nested too deeply; write it flatter"):
        policy.load(directory)
    laughs = "\n".join(f"a{n + 1}: &a{n + 1} [{', '.join([f'*a{n}'] * 9)}]" for n in range(30))
    (directory / L).write_text(f"a0: &a0 [lol]\n{laughs}\n")
    with pytest.raises(PolicyError, match=r"languages.yaml:1: 'a0' is not known here"):
        policy.load(directory)


def test_what_yaml_would_read_otherwise_is_read_as_it_is_written(tmp_path: Path) -> None:
    directory = copied(tmp_path)
    replace(directory, C, "working days: Mon to Fri", "country: NO\n  closed on: [2026-12-24]")
    replace(directory, G, "same-text: refuse", "same-text: off")
    replace(directory, L, "contact: null", "contact: {name: 404, reach: +4920794}")
    compiled = policy.compile(policy.load(directory))
    assert compiled.cadence.office is not None
    assert (compiled.cadence.office.country, f"{compiled.cadence.office.opens:%H:%M}") == ("NO", "09:00")
    assert compiled.guard.rules["same-text"] == "off"
    assert compiled.languages.contact is not None
    assert (compiled.languages.contact.name, compiled.languages.contact.reach) == ("404", "+4920794")


def test_a_part_is_named_by_its_own_name_and_not_by_another_of_its_names(tmp_path: Path) -> None:
    directory = copied(tmp_path)
    replace(directory, K, "regions: {}", "regions: {Europe: {also called: [EU]}}")
    replace(directory, K, "contracts: {}", "contracts: {gold: {regions: [eu]}}")
    with pytest.raises(PolicyError, match=r"contracts.gold.regions: 'eu' is not listed under regions; write 'Europe'"):
        policy.load(directory)


def test_what_the_catalogue_lists_is_all_that_audiences_may_name(tmp_path: Path) -> None:
    directory = copied(tmp_path)
    replace(directory, A, "members: {roles: [responder]}", "members: {contracts: [premium], regions: [Eruope]}")
    policy.load(directory)  # nothing is listed: any name may be meant
    replace(directory, K, "regions: {}", "regions: {Europe: {}}")
    replace(directory, K, "contracts: {}", "contracts: {gold: {}}")
    with pytest.raises(PolicyError) as caught:
        policy.load(directory)
    assert [line.partition(": ")[2] for line in str(caught.value).splitlines()] == [
        "audiences.responders.members.contracts: 'premium' is not listed under contracts in catalogue.yaml; "
        "use one of gold",
        "audiences.responders.members.regions: 'Eruope' is not listed under regions in catalogue.yaml; "
        "did you mean 'Europe'?",
    ]


def test_a_never_tell_rule_names_what_the_catalogue_lists_as_well(tmp_path: Path) -> None:
    directory = copied(tmp_path)
    replace(directory, K, COMPONENTS, "components: {API: {}}")
    replace(directory, K, "contracts: {}", "contracts: {gold: {}}")
    replace(
        directory,
        A,
        "may hold",
        """never tell:
  - audience: public
    components: [Apo]
    members: {components: [Apu]}
    because: too small
may hold""",
    )
    with pytest.raises(PolicyError) as caught:
        policy.load(directory)
    first, second = line_with(directory, A, "components: [Apo]"), line_with(directory, A, "members: {components")
    assert str(caught.value).splitlines() == [
        f"{A}:{first}: never tell.components: 'Apo' is not listed under components in catalogue.yaml; "
        "did you mean 'API'?",
        f"{A}:{second}: never tell.members.components: 'Apu' is not listed under components in catalogue.yaml; "
        "did you mean 'API'?",
    ]


def test_a_longest_silence_needs_somebody_who_is_told_that_nothing_changed(tmp_path: Path) -> None:
    directory = copied(tmp_path)
    replace(directory, C, "unchanged, resolved", "resolved")
    replace(directory, A, "    level: executive\n", "    level: executive\n    told at: [opened, resolved]\n")
    with pytest.raises(PolicyError) as caught:
        policy.load(directory)
    [only] = str(caught.value).splitlines()  # large incidents are told as unchanged by their size
    assert "minor incidents are never told as unchanged" in only
    replace(directory, A, "told at: [opened, resolved]", "told at: [opened, unchanged, resolved]")
    policy.load(directory)


def test_what_the_largest_span_and_a_link_may_be_is_taken(tmp_path: Path) -> None:
    directory = copied(tmp_path)
    replace(directory, C, "not before: 24h", "not before: 366d")
    replace(directory, L, "link on X: null", "link on X: https://status.example.com/now?from=x")
    compiled = policy.compile(policy.load(directory))
    assert compiled.cadence.review is not None
    assert compiled.cadence.review.cool_down.days == 366
    assert compiled.languages.link_on_x == "https://status.example.com/now?from=x"


def test_what_an_editor_leaves_beside_a_document_is_no_document(tmp_path: Path) -> None:
    directory = copied(tmp_path)
    (directory / ".#cadence.yaml").write_text("half a ch")
    assert policy.load(directory).documents.keys() == policy.load(SHIPPED / "small-saas").documents.keys()


def test_a_published_policy_that_cannot_be_used_is_refused_when_it_is_compiled() -> None:
    documents = policy.load(SHIPPED / "small-saas").documents | {G: "rules: {blame: shout}\n"}
    with pytest.raises(PolicyError, match=r"^guard.yaml:1: rules.blame: 'shout' is no action"):
        policy.compile(PolicyPublished(name="mine", hash=hash_of(documents), documents=documents))
