"""A policy in words: who hears what when, by whose approval, and what is never said. Complete, file by file."""

from collections.abc import Iterable, Iterator
from datetime import time

from pipeline.policy.audiences import Audience, Audiences, Members, Never, TwoPeople
from pipeline.policy.cadence import Cadence, Heartbeat, Office, OneRecipient, Reviews
from pipeline.policy.catalogue import Catalogue
from pipeline.policy.compiled import Policy
from pipeline.policy.guard import Guard
from pipeline.policy.languages import Languages
from pipeline.policy.words import in_words, spelled
from schemas.base import Severity
from schemas.incident import Contact
from schemas.journal import NoticeKind

INDENT = "  "


def described(policy: Policy) -> Iterator[str]:
    """The policy as lines to read."""
    yield f"{policy.name}, hash {policy.hash}"
    for title, lines in (
        ("Who hears of an incident", _audiences(policy.audience)),
        ("Approvals", _approvals(policy)),
        ("When it is told", _cadence(policy.cadence)),
        ("How one recipient is treated", _recipient(policy.cadence.recipient)),
        ("What a text must not say", _guard(policy.guard)),
        ("The parts of the service", _catalogue(policy.catalogue)),
        ("How we speak", _languages(policy.languages)),
    ):
        yield ""
        yield title
        yield from (f"{INDENT}{line}" for line in lines)


# --- who


def _audiences(audiences: Audiences) -> Iterator[str]:
    for name, audience in audiences.audiences.items():
        yield f"{name}: {_belonging(audience.members)}; they see what is for level {audience.level}"
        yield from (f"{INDENT}{line}" for line in _audience(audience))
    for rule in audiences.never_tell:
        yield _never(rule)
    if audiences.private:
        yield f"private incidents are told to {_and(audiences.private)}, and to whom they name themselves"
    else:
        yield "private incidents are told only to whom they name themselves"


def _audience(audience: Audience) -> Iterator[str]:
    yield f"hear of severity {audience.from_severity} and worse, and of every maintenance"
    for channel, kinds in audience.channels.items():
        yield f"by {channel}: {_kinds(kinds)}"
    if audience.told_at is not None:
        yield f"whatever the size of an incident, they are told at: {_kinds(audience.told_at)}"
    for stage, within in audience.duties.items():
        yield f"{stage}: must be told within {spelled(within)} of the beginning"


def _belonging(members: Members) -> str:
    named = [
        (noun, words)
        for noun, words in (
            ("role", members.roles),
            ("contract", members.contracts),
            ("region", members.regions),
            ("component", members.components),
        )
        if words
    ]
    if not named:
        return "whoever chose it"
    return f"whoever chose it or has the {' and the '.join(f'{noun} {_or(words)}' for noun, words in named)}"


def _never(rule: Never) -> str:
    who = rule.audience or ""
    if rule.members != Members():
        who = f"{who + ', of those ' if who else ''}{_belonging(rule.members)}"
    what = [
        f"{noun} {_or(words)}"
        for noun, words in (
            ("component", rule.components),
            ("region", rule.regions),
            ("severity", [str(severity) for severity in rule.severities]),
        )
        if words
    ]
    return f"never told of {' and '.join(what) or 'anything'}: {who}, because {rule.because}"


# --- by whose approval


def _approvals(policy: Policy) -> Iterator[str]:
    audiences = policy.audience
    for name, audience in audiences.audiences.items():
        if (consent := audience.consent) is not None:
            which = f" in {_or(consent.severities)} incidents" if consent.severities else ""
            yield f"{name} are told only with the approval of {_and(consent.by)}{which}: {_kinds(consent.of)}"
            first, last = policy.safe_after(name, ends=False), policy.safe_after(name, ends=True)
            late = f", a last one {spelled(last)}" if last is not None else ", a last one however long it takes"
            waits = spelled(first) if first is not None else "however long it takes"
            yield f"{INDENT}a first notice waits {waits} for it{late}; then the safe text goes out"
    for field, role in audiences.field_approvals.items():
        yield f"{field.replace('_', ' ')} is told only with the approval of {role}"
    for name, contract in policy.catalogue.contracts.items():
        if contract.approval is not None:
            parts = _or((*contract.components, *contract.regions)) or "anything"
            yield f"what concerns {parts} is approved by {contract.approval}, as the contract {name} asks"
    if audiences.two_people is not None:
        yield from _two_people(audiences.two_people)
    may = f"only {_or(audiences.commanders)} may" if audiences.commanders else "every operator may"
    yield f"{may} hold, correct and retract"
    may = f"only {_or(audiences.releasers)} may" if audiences.releasers else "every operator may"
    yield f"{may} release parked messages, or give them up"


def _two_people(rule: TwoPeople) -> Iterator[str]:
    whom = f" to {_and(rule.audiences)}" if rule.audiences else ""
    yield f"two people, {_and(rule.by)} among them, must approve a notice{whom}"
    if rule.severities:
        yield f"{INDENT}in {_or(rule.severities)} incidents"
    if rule.above is not None:
        yield f"{INDENT}to more than {rule.above} recipients"
    if rule.times_usual is not None:
        yield f"{INDENT}to more than {rule.times_usual:g} times the usual number, from {rule.at_least} recipients on"


# --- when


def _cadence(cadence: Cadence) -> Iterator[str]:
    for word, size in (("small", cadence.sizes.small), ("large", cadence.sizes.large)):
        yield f"{word} incidents ({_or(size.severities)}) are told at: {_kinds(size.told_at)}"
    yield f"while the severity is unsaid, it is {cadence.unsaid}"
    yield f"good news is {'told at once, whatever the size' if cadence.good_news else 'told like everything else'}"
    yield f"a promised update is {'told, whatever the size' if cadence.promised else 'told like everything else'}"
    yield f"first in line: {_kinds(cadence.lanes.first)}; if large also {_kinds(cadence.lanes.first_when_large)}"
    yield f"the first notice goes out within {spelled(cadence.first_notice)}, in the safe text if nobody approves"
    if cadence.last_notice is not None:
        yield f"the last notice goes out within {spelled(cadence.last_notice)}, likewise"
    if cadence.scope is not None:
        yield f"impact, components and regions are asked for after {spelled(cadence.scope)}"
    yield from _heartbeat(cadence.heartbeat)
    if cadence.gap:
        yield f"updates are at least {spelled(cadence.gap)} apart: what comes sooner is told as one"
    for severity, held in cadence.held.items():
        yield f"the end of a {severity} incident is told once it has held for {spelled(held)}"
    if cadence.office is not None:
        yield from _office(cadence.office)
    if cadence.review is not None:
        yield from _review(cadence.review)
    if cadence.maintenance_warnings:
        yield f"maintenance is announced again {_and(map(spelled, cadence.maintenance_warnings))} before it begins"


def _heartbeat(beat: Heartbeat) -> Iterator[str]:
    for severity, silence in beat.silences.items():
        yield (
            f"longest silence in a {severity} incident: {spelled(silence.investigating)} while investigating, "
            f"{spelled(silence.identified)} once identified, {spelled(silence.monitoring)} while monitoring"
        )
    for slower in beat.slower:
        yield f"{INDENT}{slower.times:g} times that from {spelled(slower.after)} after the beginning on"
    if beat.silences:
        if beat.reminders_to is not None:
            yield f"{INDENT}{spelled(beat.reminded_before)} before it is over, a reminder goes to {beat.reminders_to}"
        yield f"{INDENT}when it is over, it is told that nothing changed"
    yield f"a promised time is kept {spelled(beat.margin)} before it"


def _office(office: Office) -> Iterator[str]:
    days = ", ".join(day.name.title() for day in office.days)
    yield f"office hours: {_clock(office.opens)} to {_clock(office.closes)}, {days}, by the reader's own clock"
    where = "-".join(part for part in (office.country, office.subdivision) if part)
    yield f"{INDENT}public holidays: {f'those of {where}' if where else 'none are taken out'}"
    if office.closed_on:
        yield f"{INDENT}closed on {_and(day.isoformat() for day in sorted(office.closed_on))}"
    when = []
    if office.before_close is not None:
        when.append(f"{spelled(office.before_close)} before closing")
    if office.at_opening:
        when.append("at opening")
    told = (
        f"{_and(office.audiences)} hear how it stands {_and(when)}" if office.audiences and when else "nobody is told"
    )
    yield f"{INDENT}{told}, unless told within {spelled(office.unless_within)}"
    yield f"{INDENT}where nobody's zone is known, the clock of {_and(office.zones)} counts"


def _review(review: Reviews) -> Iterator[str]:
    yield f"a review is told no earlier than {spelled(review.cool_down)} after the end"
    for word, due in (("days", review.due_days), ("working days", review.due_working_days)):
        for severity, days in due.items():
            yield f"{INDENT}of a {severity} incident it is due after {days} {word}"


def _recipient(one: OneRecipient) -> Iterator[str]:
    for channel, (starts, ends) in one.quiet.items():
        woken = f", except in {_or(one.urgent)} incidents" if one.urgent else ""
        yield f"no {channel} from {_clock(starts)} to {_clock(ends)} by their own clock{woken}"
    for channel, most in one.at_most.items():
        yield f"at most {most} by {channel} within {spelled(one.cap_window)}; ends of incidents do not count"
    yield f"a digest, for those who chose it, at {_clock(one.digest_at)}"
    yield f"nothing more to an address from which {one.soft_bounces} messages in a row came back"


# --- what, and how


def _guard(guard: Guard) -> Iterator[str]:
    from pipeline.decide.guard import RULES  # it reads the policy's models itself

    for id, rule in RULES.items():
        action = guard.rules.get(id, rule.default)
        what = f" ({rule.mends})" if action == "mend" else ""
        yield f"{action:7}{id}: {rule.guards}{what}"
    yield f"what is held waits for {guard.approver}"
    if guard.own_words:
        yield f"never told outside: {', '.join(guard.own_words)}"


def _catalogue(catalogue: Catalogue) -> Iterator[str]:
    for name, it in catalogue.components.items():
        known = [
            *(f"in {language} {words!r}" for language, words in it.plain.items()),
            *(f"in {language}, when it fails: {words!r}" for language, words in it.meaning.items()),
            *([f"looked after by {it.owner}"] if it.owner else []),
            *([f"on duty: {_contact(it.contact)}"] if it.contact else []),
            *([f"in {_and(it.regions)}"] if it.regions else []),
        ]
        yield "; ".join([f"{name}{_also(it.aliases)}", *known])
    for name, region in catalogue.regions.items():
        yield f"{name}{_also(region.aliases)}; a region{f' by the clock of {region.zone}' if region.zone else ''}"
    if catalogue.contracts:
        yield f"contracts: {', '.join(catalogue.contracts)}"
    if not (catalogue.components or catalogue.regions or catalogue.contracts):
        yield "none are listed: each is told by the name that the event gives it"


def _languages(languages: Languages) -> Iterator[str]:
    yield f"as {languages.name!r}, in {_and(languages.languages)}; whoever chose another reads {languages.default}"
    yield f"events are written in {languages.original}"
    clocks = [f"{place} ({zone})" for place, zone in languages.clocks.items()]
    yield f"times are given in UTC and by the reader's clock; where it is unknown by {_and(clocks) or 'none'}"
    yield f"contact, where an event names none: {_contact(languages.contact) if languages.contact else 'none'}"
    yield f"at the end of every post: {languages.link_on_x or 'no link'}"


def _kinds(kinds: frozenset[NoticeKind]) -> str:
    if kinds == frozenset(NoticeKind):
        return "every notice"
    return ", ".join(in_words(kind) for kind in NoticeKind if kind in kinds) or "nothing"


def _also(aliases: tuple[str, ...]) -> str:
    return f", also called {_or(aliases)}" if aliases else ""


def _contact(contact: Contact) -> str:
    return f"{contact.name} ({contact.reach})"


def _clock(at: time) -> str:
    return at.strftime("%H:%M")


def _and(words: Iterable[str]) -> str:
    return _listed(words, "and")


def _or(words: Iterable[str | Severity]) -> str:
    return _listed(map(str, words), "or")


def _listed(words: Iterable[str], between: str) -> str:
    *others, last = [*words] or [""]
    return f"{', '.join(others)} {between} {last}" if others else last
