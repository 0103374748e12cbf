"""The guard at work: what its rules find in what one audience is to be told, and the words told in its place."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from pydantic import BaseModel

from pipeline.decide import guard
from pipeline.decide.guard import RULES, Found, Said
from pipeline.decide.occasion import Telling
from pipeline.decide.step import Step
from pipeline.decide.turn import ENDS
from pipeline.decide.view import Known, view
from pipeline.policy import Policy
from schemas.base import Level
from schemas.incident import Consequences
from schemas.journal import GuardFound, NoticeKind

OUTSIDE = frozenset({Level.PUBLIC, Level.CUSTOMER, Level.EXECUTIVE})
TEXTS = (
    "title",
    "summary",
    "workaround",
    "good_news",
    "technical_detail",
    "internal_notes",
    "ownership",
    "done",
    "planned",
    "root_cause",
    "milestone",
    "review",
    "explanation",
)
UNGUARDED = frozenset({NoticeKind.UNCHANGED, NoticeKind.REMINDER, NoticeKind.MAINTENANCE_SOON, NoticeKind.RETRACTION})
"""Kinds that repeat what was told before, or say nothing of an event's own."""


def found(
    telling: Telling, step: Step, known: Known, before: Known, has_next_update: bool, policy: Policy
) -> tuple[GuardFound, ...]:
    """What the rules find in what `telling` is to say, each with what becomes of it; rules that are off do not."""
    if telling.kind in UNGUARDED or telling.safe:
        return ()
    said = Said(
        kind=telling.kind,
        language=policy.languages.original,
        outside=telling.level in OUTSIDE,
        final=telling.kind in ENDS,
        texts=texts_of(known, telling.level, policy),
        fresh=_fresh(step),
        before=texts_of(before, telling.level, policy),
        has_contact=known.contact is not None or policy.languages.contact is not None,
        has_next_update=has_next_update,
        own_words=policy.guard.own_words,
    )
    # those who work on it wait for nobody: what would hold a notice back from others is no concern of theirs
    actions = {"mend"} if telling.level is Level.INTERNAL else {"mend", "hold", "refuse"}
    return tuple(
        _recorded(one, telling.audience, policy)
        for one in guard.examine(said, _with("off", policy))
        if _action(one.rule, policy) in actions
    )


def together(findings: Iterable[GuardFound]) -> list[GuardFound]:
    """One record for what was found alike in what several audiences are to be told."""
    groups: dict[GuardFound, list[str]] = {}
    for one in findings:
        groups.setdefault(one.model_copy(update={"audiences": ()}), []).extend(one.audiences)
    return [one.model_copy(update={"audiences": tuple(audiences)}) for one, audiences in groups.items()]


def mended(known: Known, level: Level, kind: NoticeKind, language: str, policy: Policy) -> Known:
    """`known` as readers of `level` may be told it: what a rule mends is taken out or said otherwise."""
    texts = texts_of(known, level, policy)
    better = _mended(
        tuple(texts.items()), level in OUTSIDE, kind, language, policy.guard.own_words, _with("mend", policy)
    )
    changes: dict[str, Any] = {}
    for path, text in texts.items():
        if better.get(path) == text:
            continue
        name, _, part = path.partition(".")
        if part:
            before = changes.get(name, known.consequences) or Consequences()
            changes[name] = before.model_copy(update={part: better.get(path)})
        else:
            changes[name] = better.get(path)
    return known.model_copy(update=changes) if changes else known


def texts_of(known: Known, level: Level, policy: Policy) -> dict[str, str]:
    """The texts of an event that this level may see, by the path of their field."""
    seen = view_names(level, policy)
    texts = {name: text for name in TEXTS if name in seen and (text := getattr(known, name))}
    if known.consequences is not None:
        texts |= {f"consequences.{name}": text for name, text in known.consequences if text}
    return texts


def view_names(level: Level, policy: Policy) -> frozenset[str]:
    """The names of the fields that a level may see, released ones included: a released text is guarded as well."""
    return _names(level, tuple(sorted(policy.approvals.items())))


@lru_cache(maxsize=256)
def _names(level: Level, approvals: tuple[tuple[str, str], ...]) -> frozenset[str]:
    return frozenset(view(Known(), level, dict(approvals), frozenset(TEXTS)))


@lru_cache(maxsize=4096)
def _mended(
    texts: tuple[tuple[str, str], ...],
    outside: bool,
    kind: NoticeKind,
    language: str,
    own_words: tuple[str, ...],
    mends: frozenset[str],
) -> Mapping[str, str]:
    said = Said(
        kind=kind,
        language=language,
        outside=outside,
        final=kind in ENDS,
        texts=dict(texts),
        fresh=frozenset(path for path, _ in texts),
        before={},
        has_contact=True,
        has_next_update=True,
        own_words=own_words,
    )
    return guard.mend(dict(texts), guard.examine(said, frozenset(RULES) - mends), language)


def _recorded(one: Found, audience: str, policy: Policy) -> GuardFound:
    return GuardFound(
        rule=one.rule,
        action=_action(one.rule, policy),
        audiences=(audience,),
        field=one.field,
        words=one.words,
        why=one.why,
    )


def _action(rule: str, policy: Policy) -> Any:
    return policy.guard.rules.get(rule, RULES[rule].default)


def _with(action: str, policy: Policy) -> frozenset[str]:
    """The rules that the policy gives this action; looked up for every notice, so kept."""
    key = (policy.hash, action)
    if key not in _BY_ACTION:
        _BY_ACTION[key] = frozenset(rule for rule in RULES if _action(rule, policy) == action)
    return _BY_ACTION[key]


_BY_ACTION: dict[tuple[str, str], frozenset[str]] = {}


def _fresh(step: Step) -> frozenset[str]:
    """The paths that this very event said."""
    if step.event is None:
        return frozenset()
    names = set()
    for name, value in step.event:
        if isinstance(value, Consequences):
            names |= {f"{name}.{part}" for part, text in value if text is not None}
        elif value is not None and not isinstance(value, BaseModel):
            names.add(name)
    return frozenset(names)
