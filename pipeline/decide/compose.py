"""Compose: the words, once per audience and channel, from templates that see only what the audience may see.

`content.j2` says everything once, as plain text: status, lead, sections, closing words. The mail templates lay the
same content out as text and as HTML, so both parts say the same. A short template (SMS, X) sets `head`, `body` and
`tail`; the body is cut to what fits, head and tail stay.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from pipeline.decide.audience import Telling
from pipeline.decide.enrich import components_after, regions_after
from pipeline.decide.state import IncidentState, worse
from pipeline.decide.view import UNSUBSCRIBE, Known, plain, view
from pipeline.errors import PolicyError
from pipeline.policy import Policy
from pipeline.text.cut import cut_at_sentence
from pipeline.text.post import is_valid, weighted_length
from pipeline.text.sms import measure, to_gsm7
from schemas.base import Channel
from schemas.journal import NoticeKind
from schemas.rendering import EmailContent, PostContent, Rendering, SmsContent, rendering_of

MAX_SEGMENTS = 2
MAX_UNITS = MAX_SEGMENTS * 153
"""Septets; each of several segments has room for 153 (3GPP TS 23.040)."""
SUBJECT_CHARACTERS = 120
HEAD_CHARACTERS = 90
"""A title longer than this is shortened where every character counts."""

_LINK = re.compile(r"https?://\S*[^\s.,;:!?)\]]", re.IGNORECASE)
_NEVER_ON_X = {0xFFFE: None, 0xFFFF: None}


@dataclass(frozen=True, slots=True)
class Occasion:
    """What a notice is about: what is known now, what this audience was told last, and where the incident stands."""

    seq: int
    at: datetime
    known: Known
    before: Known
    over: bool
    maintenance: bool


def compose(state: IncidentState, telling: Telling, occasion: Occasion, policy: Policy) -> tuple[Rendering, ...]:
    """One rendering for each channel of `telling`. Raises `PolicyError` where a template fails."""
    page = _page(state, telling, occasion, policy)
    return tuple(rendering_of(policy.voice.language, _WRITERS[channel](page, policy)) for channel in telling.channels)


def _page(state: IncidentState, telling: Telling, occasion: Occasion, policy: Policy) -> dict[str, Any]:
    """Everything that is said, as plain texts, in the language of the policy."""
    it = view(occasion.known, telling.level, policy.approvals)
    if policy.voice.contact is not None and "contact" in it and it["contact"] is None:
        it["contact"] = plain(policy.voice.contact, telling.level)
    title = it["title"] or f"Incident {state.incident}"
    context = {
        "it": it,
        "was": view(occasion.before, telling.level, policy.approvals),
        "title": title,
        "incident": state.incident,
        "kind": telling.kind.value,
        "over": occasion.over,
        "maintenance": occasion.maintenance,
        "worst": worse(state.worst, occasion.known.severity),
        "components_ever": plain(components_after(state, occasion.known), telling.level),
        "regions_ever": plain(regions_after(state, occasion.known), telling.level),
        "followed": _followed(state, occasion, policy),
        "reported_at": state.reported_at or occasion.at,
        "at": occasion.at,
        "seq": occasion.seq,
        "audience": telling.audience,
        "name": policy.voice.name,
        "link": policy.voice.link_on_x,
        "clocks": [(place, ZoneInfo(zone)) for place, zone in policy.voice.clocks.items()],
    }
    content = _evaluated("content.j2", context, policy)
    return context | {
        "title": title,
        "short_title": cut_at_sentence(title, lambda text: len(text) <= HEAD_CHARACTERS, ""),
        "subject": _subject(state, occasion.known),
        "unsubscribe": UNSUBSCRIBE,
        "status": _tidy(content.status),
        "lead": _tidy(content.lead),
        "brief": _tidy(content.brief),
        "sections": [(heading, _tidy(text)) for heading, text in content.sections if text and text.strip()],
        "closing": _tidy(content.closing),
        "next": _tidy(content.next),
        "footer": _tidy(content.footer),
    }


def _followed(state: IncidentState, occasion: Occasion, policy: Policy) -> bool:
    """Whether further changes of this incident will be told, so that no message says so in vain."""
    large = policy.cadence.is_large(worse(state.worst, occasion.known.severity))
    sizes = policy.cadence.sizes
    return NoticeKind.UPDATED in (sizes.large if large else sizes.small).told_at


def _subject(state: IncidentState, known: Known) -> str:
    """The same for every mail about the incident: only then do mailboxes keep one thread."""
    title = plain(state.subject or known.title or f"Incident {state.incident}", None)
    short = cut_at_sentence(title, lambda text: len(text) <= SUBJECT_CHARACTERS, "")
    return f"{short} [{state.incident}]"


def _email(page: dict[str, Any], policy: Policy) -> EmailContent:
    text, html = _rendered("email.txt.j2", page, policy), _rendered("email.html.j2", page, policy)
    return EmailContent(subject=page["subject"], text=text, html=html)


def _sms(page: dict[str, Any], policy: Policy) -> SmsContent:
    text = to_gsm7(_fitted(page, policy, "sms.txt.j2", _fits_sms))
    measured = measure(text)
    return SmsContent(text=text, encoding=measured.encoding, segments=measured.segments)


def _fits_sms(text: str) -> bool:
    plain = to_gsm7(text)
    # Measuring is slow, and a character takes one unit at least: a long text needs no measuring.
    return len(plain) <= MAX_UNITS and measure(plain).segments <= MAX_SEGMENTS


def _post(page: dict[str, Any], policy: Policy) -> PostContent:
    # A link makes a post cost 13 times as much: one from an event's text must not decide that.
    said = {name: _LINK.sub("[link]", page[name]).translate(_NEVER_ON_X) for name in ("brief", "short_title", "status")}
    text = _fitted(page | said, policy, "x.txt.j2", is_valid)
    return PostContent(text=text, weighted_length=weighted_length(text))


def _fitted(page: dict[str, Any], policy: Policy, template: str, fits: Callable[[str], bool]) -> str:
    """Head, body and tail in one line that fits: the body is cut first, then the head."""
    short = _evaluated(template, page, policy)
    head, body, tail, pointer = (_one_line(part) for part in (short.head, short.body, short.tail, short.pointer))

    def joined(first: str, second: str) -> str:
        return " ".join(part for part in (first, second, tail) if part)

    if fits(joined(head, body)):
        return joined(head, body)
    if body and fits(joined(head, pointer)):
        return joined(head, cut_at_sentence(body, lambda text: fits(joined(head, text)), pointer))
    return joined(cut_at_sentence(head, lambda text: fits(joined(text, "")), ""), "")


_WRITERS: dict[Channel, Callable[[dict[str, Any], Policy], EmailContent | SmsContent | PostContent]] = {
    Channel.EMAIL: _email,
    Channel.SMS: _sms,
    Channel.X: _post,
}


def _evaluated(name: str, context: dict[str, Any], policy: Policy) -> Any:
    """What a template sets, by name: plain texts, since only `*.html.j2` escapes."""
    return _guarded(name, policy, lambda template: template.make_module(context))


def _rendered(name: str, context: dict[str, Any], policy: Policy) -> str:
    return str(_guarded(name, policy, lambda template: template.render(context)))


def _guarded(name: str, policy: Policy, use: Callable[[Any], Any]) -> Any:
    path = f"{policy.voice.language}/{name}"
    try:
        return use(policy.templates.get_template(path))
    except Exception as error:  # a template can raise whatever the objects it touches raise
        raise PolicyError(f"templates/{path}: {type(error).__name__}: {error}") from error


def _tidy(text: str) -> str:
    """Without the blank ends and doubled blank lines that template tags leave behind."""
    return re.sub(r"\n{3,}", "\n\n", "\n".join(line.rstrip() for line in text.strip().split("\n")))


def _one_line(text: str) -> str:
    return " ".join(text.split())
