"""Notices of one night, made by the real compose: what these tests read, the browser shows, and the pictures are of."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from pipeline import policy
from pipeline.decide.compose import compose
from pipeline.decide.occasion import Occasion, Readers, Telling
from pipeline.decide.view import Known
from pipeline.policy import Policy
from pipeline.policy.catalogue import Catalogue
from schemas.base import Channel, Lane, Level, Severity, State
from schemas.incident import Consequences, Contact, Crew, Translation
from schemas.journal import NoticeKind
from schemas.rendering import EmailContent, Rendering, content_in
from tests.paths import REPOSITORY

AT = datetime(2026, 2, 11, 16, 4, tzinfo=UTC)
HOUR = timedelta(hours=1)
READERS = Readers(languages=("de",), zones=("Europe/Berlin", "America/New_York"), updated=frozenset({Channel.EMAIL}))

OPENED = Known(
    title="Card payments fail in Europe and North America",
    severity=Severity.CRITICAL,
    state=State.IDENTIFIED,
    components=("Card payments", "Payouts"),
    regions=("Europe", "North America"),
    summary="Card payments fail in Europe and North America, and payouts are on hold. Bank transfers and invoices work"
    " as usual. The cause has been found, and the repair is being worked on.",
    consequences=Consequences(
        now="Almost all card payments in Europe and North America are declined; payouts are on hold.",
        expected="Payouts of today may arrive on the next business day.",
        data_loss="none",
    ),
    workaround="Bank transfers and payment by invoice work. Customers in a shop can be asked to pay that way.",
    next_update_at=AT + HOUR / 2,
    contact=Contact(name="Marta Lindqvist, incident desk", reach="incident-desk@example.com"),
    crew=Crew(who="The payments and platform teams", until=AT + 14 * HOUR),
    began_at=AT - HOUR / 2,
    translations={
        "de": Translation(
            title="Kartenzahlungen in Europa und Nordamerika gestört",
            summary="Kartenzahlungen in Europa und Nordamerika schlagen fehl, Auszahlungen sind angehalten."
            " Überweisungen und Rechnungen funktionieren wie gewohnt.",
            consequences=Consequences(
                now="Fast alle Kartenzahlungen in Europa und Nordamerika werden abgelehnt;"
                " Auszahlungen sind angehalten.",
                expected="Auszahlungen von heute kommen möglicherweise erst am nächsten Bankarbeitstag an.",
            ),
            workaround="Überweisungen und Zahlungen auf Rechnung funktionieren.",
        )
    },
)
CORRECTED = OPENED.model_copy(
    update={
        "explanation": "We wrote that payouts are on hold everywhere. They are on hold in Europe only",
        "regions": ("Europe", "North America"),
        "summary": "Card payments fail in Europe and North America. Payouts are on hold in Europe; in North America"
        " they are paid as usual.",
        "consequences": Consequences(
            now="Almost all card payments are declined; payouts in Europe are on hold.",
            expected="Payouts of today in Europe may arrive on the next business day.",
            data_loss="none",
        ),
    }
)
RESOLVED = OPENED.model_copy(
    update={
        "state": State.RESOLVED,
        "summary": "Card payments and payouts work again everywhere since 21:40 UTC.",
        "consequences": Consequences(lasting="Payouts of 11 February arrive one business day late.", data_loss="none"),
        "next_update_at": None,
        "crew": None,
        "workaround": None,
        "began_at": AT - HOUR / 2,
        "ended_at": AT + 5.6 * HOUR,
        "held_since": AT + 5.6 * HOUR,
        "done": "The signing keys were renewed and all payments since then were checked.",
        "planned": "Keys are renewed a month before they expire, and an alarm tells us when one is not.",
        "root_cause": "The keys with which payments are signed had expired.",
        "translations": {
            "de": Translation(
                title="Kartenzahlungen in Europa und Nordamerika gestört",
                summary="Kartenzahlungen und Auszahlungen funktionieren seit 22:40 Uhr wieder überall.",
                consequences=Consequences(
                    lasting="Auszahlungen vom 11. Februar kommen einen Bankarbeitstag später an."
                ),
                done="Die Signaturschlüssel wurden erneuert und alle seither eingegangenen Zahlungen geprüft.",
                planned="Schlüssel werden einen Monat vor ihrem Ablauf erneuert; ein Alarm meldet, wenn das ausbleibt.",
                root_cause="Die Schlüssel, mit denen Zahlungen signiert werden, waren abgelaufen.",
            )
        },
    }
)
MAINTENANCE = Known(
    title="Upgrade of the reporting database",
    components=("Reports",),
    summary="Reports cannot be opened while the database is upgraded. Payments are not concerned.",
    consequences=Consequences(expected="Reports cannot be opened for up to two hours.", lasting="none"),
    starts_at=AT + 60 * HOUR,
    ends_at=AT + 62 * HOUR,
    contact=OPENED.contact,
)


COMPONENTS = {
    "Card payments": {"in plain words": {"en": "payments by card", "de": "Kartenzahlungen"}},
    "Payouts": {"in plain words": {"en": "payouts", "de": "Auszahlungen"}},
}


@cache
def shipped() -> Policy:
    """`small-saas`, compiled once, with a catalogue that knows the components of the story."""
    plain = policy.compile(policy.load(REPOSITORY / "deploy" / "policies" / "small-saas"))
    return replace(plain, hash="5" * 64, catalogue=Catalogue.model_validate({"components": COMPONENTS}))


def occasion(known: Known, before: Known = Known(), **more: object) -> Occasion:  # noqa: B008 - frozen
    """An occasion of that night."""
    made = Occasion(
        incident="payments-overnight",
        seq=4,
        at=AT,
        known=known,
        before=before,
        over=False,
        maintenance=False,
        worst=known.severity,
        subject=known.title or "",
        reported_at=AT - HOUR / 4,
        components_ever=known.components or (),
        regions_ever=known.regions or (),
        readers=READERS,
    )
    return replace(made, **more)  # type: ignore[arg-type]


def telling(kind: NoticeKind, level: Level = Level.CUSTOMER, **more: object) -> Telling:
    """A telling of that kind to customers, by mail."""
    made = Telling("customers", level, kind, Lane.UPDATE, (Channel.EMAIL,), "nothing has been said for 35 minutes")
    return replace(made, **more)  # type: ignore[arg-type]


NIGHT = AT + 2 * HOUR
STORY: Mapping[str, tuple[Telling, Occasion]] = {
    "opened": (telling(NoticeKind.OPENED), occasion(OPENED)),
    "unchanged": (
        telling(NoticeKind.UNCHANGED),
        occasion(OPENED.model_copy(update={"next_update_at": NIGHT + HOUR}), OPENED, at=NIGHT, since=AT),
    ),
    "correction": (telling(NoticeKind.CORRECTION), occasion(CORRECTED, OPENED, at=AT + HOUR / 4, since=AT)),
    "retraction": (
        telling(NoticeKind.RETRACTION),
        occasion(OPENED.model_copy(update={"explanation": "It was a test of our alarm"}), OPENED, since=AT),
    ),
    "resolved": (
        telling(NoticeKind.RESOLVED),
        occasion(RESOLVED, OPENED, at=AT + 6 * HOUR, over=True, worst=Severity.CRITICAL),
    ),
    "maintenance": (telling(NoticeKind.MAINTENANCE_SCHEDULED), occasion(MAINTENANCE, maintenance=True)),
    "reminder": (telling(NoticeKind.REMINDER, Level.INTERNAL), occasion(Known(title="Logins fail"))),
    "first in safe words": (telling(NoticeKind.OPENED, safe=True), occasion(OPENED)),
    "sparse": (telling(NoticeKind.OPENED), occasion(Known(title="Logins fail", severity=Severity.MAJOR))),
}


def mail(name: str, language: str, zone: str) -> EmailContent:
    """A mail of the story as one reader gets it, but for their own link."""
    content = content_in(told(*STORY[name], language=language), zone)
    assert isinstance(content, EmailContent)
    return content


def told(one: Telling, about: Occasion, channel: Channel = Channel.EMAIL, language: str = "en") -> Rendering:
    """The rendering of this channel and language at the telling's own level."""
    made = compose(replace(one, channels=(channel,)), about, shipped())
    return next(r for r in made if r.language == language and r.level is one.level)


def words(
    one: Telling, about: Occasion, channel: Channel = Channel.EMAIL, language: str = "en", zone: str = "UTC"
) -> Any:
    """The content of that rendering as it is read in a time zone."""
    return content_in(told(one, about, channel, language), zone)
