"""Envelopes and recipients for these tests."""

from dataclasses import replace
from datetime import UTC, datetime

from pipeline.channels.base import Envelope, Recipient
from pipeline.vault import Vault
from schemas.base import Level
from schemas.rendering import AnyContent, EmailContent, PostContent, SmsContent, rendering_of

VAULT = Vault.of(b"a secret for tests, 32 characters")
AT = datetime(2026, 3, 14, 9, 26, 53, tzinfo=UTC)
LINK = "https://status.example.com/u/abc_DEF-123?x=1&y=2"

EMAIL = EmailContent(
    subject="[Major] Logins fail in Europe",
    text="Logins fail – we are on it.\n\nUnsubscribe: {{unsubscribe}}\n",
    html='<p>Logins fail &ndash; we are on it.</p><p><a href="{{unsubscribe}}">Unsubscribe</a></p>\n',
)
SMS = SmsContent(text="Logins fail in Europe. We are on it.", encoding="GSM-7", segments=1)
POST = PostContent(text="Logins fail in Europe. We are on it.", weighted_length=36)


def intent(number: int) -> str:
    """An intent's id."""
    return f"{number:032x}"


def envelope(content: AnyContent = EMAIL, attempt: int = 1) -> Envelope:
    """`content` as it goes out."""
    rendering = rendering_of("en", Level.CUSTOMER, content)
    return Envelope("inc-1", "notice-1", attempt, AT, content, rendering.sha256, rendering.language)


def reader(number: int = 1, **changes: object) -> Recipient:
    """A recipient of mail."""
    made = Recipient(
        subscriber=f"s{number}",
        intent_id=intent(number),
        partition=number % 12,
        address=f"reader{number}@example.com",
        name="Ada Lovelace",
        return_token=VAULT.return_token(intent(number), number % 12),
        unsubscribe_url=LINK,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def phone(number: str = "+15005550100", **changes: object) -> Recipient:
    """A recipient of text messages."""
    return reader(7, **{"address": number, "unsubscribe_url": None, **changes})


ACCOUNT = reader(9, address="@status", unsubscribe_url=None, name=None)
