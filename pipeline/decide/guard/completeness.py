"""Rules about what a message leaves out."""

import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from pipeline.decide.guard.checks import MAINTENANCE, quoted
from pipeline.decide.guard.languages import lexicon
from pipeline.decide.guard.lexicon import Pattern, lowered
from pipeline.decide.guard.model import Found, Said
from schemas.journal import NoticeKind

REVIEWED: Final = frozenset({NoticeKind.REVIEW})
PLANNED: Final = MAINTENANCE - {NoticeKind.MAINTENANCE_COMPLETED}
"""What was announced, with its times; the templates say what to expect of it."""
NEWS_BY_WORDS: Final = frozenset({NoticeKind.UPDATED, NoticeKind.MILESTONE})
"""Kinds that are news only by what they say: that it began, ended or changed is news in the same words, too."""
STATEMENTS: Final = ("title", "summary", "milestone", "good_news", "done", "workaround", "consequences.now")
"""Where the effect of an incident, and its end, may be told in plain words."""


def same_text(said: Said) -> Iterable[Found]:
    """An update whose every text was told before."""
    if said.kind not in NEWS_BY_WORDS or not said.fresh & said.texts.keys():
        return
    fresh = sorted(said.fresh & said.texts.keys())
    if all(plain(said.texts[path]) == plain(said.before.get(path, "")) for path in fresh):
        yield Found("same-text", "", _whole(said.texts[fresh[-1]]), "Say what is new since the last message, or wait.")


def consequences_unsaid(said: Said) -> Iterable[Found]:
    """A running incident, and nothing about what it means for those who use the service."""
    told = said.texts.get("consequences.now") or said.texts.get("consequences.expected")
    if not said.final and said.kind not in PLANNED | REVIEWED and not told and not _says("effect", said):
        yield Found("consequences-unsaid", "", "", "Say what people notice now, or that they notice nothing.")


def lasting_unsaid(said: Said) -> Iterable[Found]:
    """Not at the end yet, and nothing about lasting damage."""
    if not said.final and said.kind not in PLANNED | REVIEWED and not _tells_lasting(said):
        yield Found("lasting-unsaid", "", "", "Say what will stay, such as lost data, or that nothing will.")


def lasting_unsaid_at_end(said: Said) -> Iterable[Found]:
    """The end, and nothing about data loss or other lasting damage."""
    if said.kind is NoticeKind.RESOLVED and not _tells_lasting(said):
        yield Found("lasting-unsaid-at-end", "", "", "Say whether data was lost or anything else stays: yes or no.")


def lingering_unsaid(said: Said) -> Iterable[Found]:
    """The end, and nothing about whether something is still felt."""
    told = said.texts.get("consequences.now") or said.texts.get("consequences.expected")
    if said.kind is NoticeKind.RESOLVED and not told and not _says("lingering", said):
        yield Found("lingering-unsaid", "", "", "Say whether anything is still to be felt: yes or no.")


def recovery_unconfirmed(said: Said) -> Iterable[Found]:
    """The end, in words that do not say that it works again. Without any words the notice itself says so."""
    if said.kind is NoticeKind.RESOLVED and said.texts.get("summary") and not _says("recovered", said, said.fresh):
        words = _whole(said.texts["summary"])
        yield Found(
            "recovery-unconfirmed", "summary", words, "Say that it works again, or do not call it resolved yet."
        )


def contact_unsaid(said: Said) -> Iterable[Found]:
    """Nobody named who has time for questions."""
    if not said.has_contact and not said.final and said.kind is not NoticeKind.REVIEW:
        yield Found(
            "contact-unsaid",
            "",
            "",
            "Name one contact who has time during the outage, in the event or in languages.yaml.",
        )


def next_update_unsaid(said: Said) -> Iterable[Found]:
    """A running incident without a time for the next word."""
    if said.has_next_update or said.final or said.kind in PLANNED | REVIEWED:
        return
    if not _says("next_update", said, said.fresh):
        yield Found("next-update-unsaid", "", "", "Say when the next update comes (next_update_at).")


@lru_cache(maxsize=4096)
def plain(text: str) -> str:
    """`text` as a reader takes it in: without regard to case, white space and punctuation."""
    letters = (c if c.isalnum() else " " for c in unicodedata.normalize("NFKC", text).casefold())
    return " ".join("".join(letters).split())


def _tells_lasting(said: Said) -> bool:
    return bool(said.texts.get("consequences.lasting")) or _says("lasting", said)


def _says(what: str, said: Said, among: frozenset[str] | None = None) -> bool:
    """Whether any statement of the message says it; `among`: only these fields count."""
    return any(
        _matches(what, said.texts[path], said.language)
        for path in (*STATEMENTS, "consequences.expected", "planned", "root_cause", "review")
        if said.texts.get(path) and (among is None or path in among)
    )


@lru_cache(maxsize=8192)
def _matches(what: str, text: str, language: str) -> bool:
    pattern: Pattern = getattr(lexicon(language), what)
    return pattern.search(lowered(text)) is not None


def _whole(text: str) -> str:
    return quoted(text, [(0, len(text))])
