"""What the tests of delivering begin with: renderings, notices, subscribers, batches, records."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pipeline.deliver.fanout import walk
from schemas import codec, topics
from schemas.base import Channel, Lane, Level
from schemas.census import Group
from schemas.codec import Outgoing
from schemas.delivery import DeliveriesEnded, DeliveriesIntended, DeliveryAttempted, DeliveryBatch, Outcome, Result
from schemas.ids import notice_id
from schemas.journal import NoticeKind
from schemas.notice import Notice, Notices
from schemas.rendering import EmailContent, PostContent, Rendering, SmsContent, rendering_of
from schemas.subscriber import Choices, Profile, SealedContact, Subscriber, SubscriberKind

AT = datetime(2026, 3, 3, 9, tzinfo=UTC)
"""A Tuesday."""
HOUR = timedelta(hours=1)
EMAIL, SMS, X = Channel.EMAIL, Channel.SMS, Channel.X


def mail(language: str = "en", level: Level = Level.CUSTOMER, *, zones: tuple[str, ...] = ()) -> Rendering:
    moments = {zone: (f"noon in {zone}",) for zone in ("UTC", *zones)}
    content = EmailContent(subject=f"{language} {level}", text="until {{t0}}", html="<p>until {{t0}}</p>")
    return rendering_of(language, level, content, moments)


def text(language: str = "en", level: Level = Level.CUSTOMER) -> Rendering:
    return rendering_of(language, level, SmsContent(text=f"{language} {level}", encoding="GSM-7", segments=1))


def post() -> Rendering:
    return rendering_of("en", Level.PUBLIC, PostContent(text="t", weighted_length=1))


def group(audience: str = "customers", **selects: Any) -> Group:
    return Group(audience=audience, **selects)


def notice(audience: str = "customers", seq: int = 1, **change: Any) -> Notice:
    given: dict[str, Any] = {
        "notice_id": notice_id("INC-1", seq, audience),
        "incident": "INC-1",
        "seq": seq,
        "at": AT,
        "kind": NoticeKind.OPENED,
        "group": group(audience),
        "level": Level.CUSTOMER,
        "lane": Lane.FIRST,
        "closing": False,
        "components": ("Search",),
        "renderings": (mail(), text()),
    }
    return Notice.model_validate(given | change)


def told(one: Notice) -> Outgoing:
    """A notice as it stands in its lane, alone."""
    data = Notices(notices=(one,))
    return codec.encode(topics.notices(one.lane), data, id=one.notice_id, source="/tests", subject=one.incident)


CHOICES = frozenset(Choices.model_fields)
PROFILE = frozenset(Profile.model_fields)


def subscriber(id_: str = "s1", **change: Any) -> Subscriber:
    """Someone who chose customers and mail, in UTC, who can be reached; `change` in choices, profile, or themselves."""
    choices = {"audiences": ("customers",), "channels": (EMAIL,)} | {n: v for n, v in change.items() if n in CHOICES}
    return Subscriber.model_validate(
        {
            "id": id_,
            "kind": SubscriberKind.PERSON,
            "choices": choices,
            "profile": {n: v for n, v in change.items() if n in PROFILE},
            "contact": SealedContact(nonce="AAAA", ciphertext="AAAA"),
            "at": AT,
            **{n: v for n, v in change.items() if n not in CHOICES | PROFILE},
        }
    )


def batches(
    told: Notice, partition: int, subscribers: Mapping[str, Subscriber], heard: Mapping[str, frozenset[Channel]]
) -> Iterator[DeliveryBatch]:
    """Every batch of a fan-out."""
    return (made for stretch in walk(told, partition, subscribers, heard) for made in stretch.batches)


def batch(*recipients: str, **change: Any) -> DeliveryBatch:
    given: dict[str, Any] = {
        "batch_id": "b1",
        "notice_id": "n1",
        "incident": "INC-1",
        "seq": 1,
        "kind": NoticeKind.OPENED,
        "audience": "customers",
        "channel": SMS,
        "lane": Lane.FIRST,
        "closing": False,
        "at": AT,
        "rendering": text(),
        "recipients": recipients or ("s1",),
    }
    return DeliveryBatch.model_validate(given | change)


def _named(seq: int, channel: Channel, at: datetime, incident: str) -> dict[str, Any]:
    return {
        "batch_id": f"b{seq}", "notice_id": f"n{seq}", "incident": incident,
        "seq": seq, "channel": channel, "at": at,
    }  # fmt: skip


def intended(
    *recipients: str,
    seq: int = 1,
    channel: Channel = EMAIL,
    kind: NoticeKind = NoticeKind.OPENED,
    audience: str = "customers",
    closing: bool = False,
    incident: str = "INC-1",
    at: datetime = AT,
) -> DeliveriesIntended:
    return DeliveriesIntended(
        **_named(seq, channel, at, incident),
        kind=kind,
        audience=audience,
        rendering="0" * 64,
        closing=closing,
        recipients=recipients,
    )


def attempted(
    *recipients: str,
    attempt: int = 1,
    seq: int = 1,
    channel: Channel = EMAIL,
    incident: str = "INC-1",
    at: datetime = AT,
) -> DeliveryAttempted:
    return DeliveryAttempted(
        **_named(seq, channel, at, incident),
        attempt_id=f"a{incident}-{seq}-{attempt}",
        attempt=attempt,
        kind=NoticeKind.OPENED,
        rendering="0" * 64,
        recipients=recipients,
    )


def ended(
    result: Result,
    *recipients: str,
    attempt: int = 1,
    due: datetime | None = None,
    seq: int = 1,
    channel: Channel = EMAIL,
    incident: str = "INC-1",
    at: datetime = AT,
    before_any: bool | None = None,
) -> DeliveriesEnded:
    """`before_any`: decided before any attempt, as suppressed and deferred ones are."""
    decided = result in (Result.SUPPRESSED, Result.DEFERRED) if before_any is None else before_any
    return DeliveriesEnded(
        **_named(seq, channel, at, incident),
        attempt_id=None if decided else f"a{incident}-{seq}-{attempt}",
        attempt=attempt,
        outcomes=tuple(Outcome(recipient=r, result=result, reason="test", due=due) for r in recipients),
    )
