"""What only several documents together can get wrong: names of one document that stand in another."""

from collections.abc import Iterable, Iterator, Mapping

from pipeline.policy.audiences import Audiences, Members
from pipeline.policy.cadence import Cadence
from pipeline.policy.catalogue import Catalogue
from pipeline.policy.compiled import Policy
from pipeline.policy.guard import Guard
from pipeline.policy.languages import Languages
from pipeline.policy.wording import missing
from pipeline.policy.words import Path, nearest
from schemas.journal import NoticeKind

Finding = tuple[str, Path, str]
"""The document, the place in it, and what is wrong there with what to do."""


def together(policy: Policy, documents: Mapping[str, str]) -> Iterator[Finding]:
    """Everything in the policy made of `documents` that does not fit together, each document being sound by itself."""
    yield from _reminders(policy.audience, policy.cadence)
    yield from _silences(policy.audience, policy.cadence)
    yield from _office(policy.audience, policy.cadence)
    yield from _members(policy.audience, policy.catalogue)
    yield from _rules(policy.guard)
    yield from _plain_words(policy.catalogue, policy.languages)
    yield from _spoken(policy.languages, documents)


def _reminders(audiences: Audiences, cadence: Cadence) -> Iterator[Finding]:
    name, path = cadence.heartbeat.reminders_to, ("heartbeat", "reminders go to")
    if name is None:
        return
    if name not in audiences.audiences:
        yield "cadence.yaml", path, audiences.no_audience(name)
    elif not audiences.audiences[name].channels_for(NoticeKind.REMINDER):
        yield "cadence.yaml", path, f"no channel of {name!r} carries a reminder; add it to one in audiences.yaml"


def _silences(audiences: Audiences, cadence: Cadence) -> Iterator[Finding]:
    """A longest silence is one only for those who are told that nothing changed."""
    if any(NoticeKind.UNCHANGED in audience.told_at for audience in audiences.audiences.values() if audience.told_at):
        return
    for severity in cadence.heartbeat.silences:
        if NoticeKind.UNCHANGED not in cadence.size(severity).told_at:
            text = f"{severity} incidents are never told as unchanged; add it to their size, or remove this"
            yield "cadence.yaml", ("heartbeat", "longest silence", severity.value), text


def _office(audiences: Audiences, cadence: Cadence) -> Iterator[Finding]:
    for place, name in enumerate(cadence.office.audiences if cadence.office else ()):
        if name not in audiences.audiences:
            yield "cadence.yaml", ("office", "audiences", place), audiences.no_audience(name)


def _members(audiences: Audiences, catalogue: Catalogue) -> Iterator[Finding]:
    """Of what the catalogue lists, nothing else can be meant; of what it lists nothing of, anything can."""
    known: dict[str, Iterable[str]] = {
        "contracts": catalogue.contracts,
        "regions": catalogue.regions,
        "components": catalogue.components,
    }
    for path, part in _selecting(audiences):
        for kind, listed in known.items():
            for place, word in enumerate(part[kind] if listed else ()):
                if word not in listed:
                    text = f"{word!r} is not listed under {kind} in catalogue.yaml; {nearest(word, listed)}"
                    yield "audiences.yaml", (*path, kind, place), text


def _selecting(audiences: Audiences) -> Iterator[tuple[Path, Mapping[str, tuple[str, ...]]]]:
    for name, audience in audiences.audiences.items():
        yield ("audiences", name, "members"), _named(audience.members)
    for place, rule in enumerate(audiences.never_tell):
        yield ("never tell", place, "members"), _named(rule.members)
        yield ("never tell", place), {"contracts": (), "regions": rule.regions, "components": rule.components}


def _named(members: Members) -> Mapping[str, tuple[str, ...]]:
    return {"contracts": members.contracts, "regions": members.regions, "components": members.components}


def _rules(guard: Guard) -> Iterator[Finding]:
    from pipeline.decide.guard import RULES  # it reads the policy's models itself

    for id, action in guard.rules.items():
        if id not in RULES:
            yield "guard.yaml", ("rules", id), f"the guard has no such rule; {nearest(id, RULES)}"
        elif action == "mend" and not RULES[id].mends:
            text = f"only a person can mend this ({RULES[id].guards}); write hold, refuse or off"
            yield "guard.yaml", ("rules", id), text


def _plain_words(catalogue: Catalogue, languages: Languages) -> Iterator[Finding]:
    for name, component in catalogue.components.items():
        for key, texts in (("in plain words", component.plain), ("when it fails", component.meaning)):
            for language in texts:
                if language not in languages.languages:
                    text = f"nothing is told in this language; {nearest(language, languages.languages)}"
                    yield "catalogue.yaml", ("components", name, key, language), text


def _spoken(languages: Languages, documents: Mapping[str, str]) -> Iterator[Finding]:
    for place, language in enumerate(languages.languages):
        for name in missing(language, documents):
            text = f"{language!r} has no template {name}; add it, or remove the language"
            yield "languages.yaml", ("languages", place), text
