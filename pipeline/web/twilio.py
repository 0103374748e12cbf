"""What Twilio calls: is it really Twilio, and what does it say? Pure; reduced to ids and words here and now.

https://www.twilio.com/docs/usage/webhooks/webhooks-security, …/messaging/guides/track-outbound-message-status,
https://help.twilio.com/articles/223134027 (opt-out keywords).
"""

import html
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal
from urllib.parse import parse_qsl

from twilio.request_validator import RequestValidator

from pipeline.addresses import BadAddress
from pipeline.vault import Vault
from schemas.base import Channel
from schemas.receipt import DeliveryReported, KeywordReceived

MAX_FIELDS = 200
NO_REPLY = '<?xml version="1.0" encoding="UTF-8"?><Response></Response>'
REPLY = '<?xml version="1.0" encoding="UTF-8"?><Response><Message>{text}</Message></Response>'
Keyword = Literal["STOP", "START", "HELP"]
KEYWORDS: dict[str, Keyword] = {
    **dict.fromkeys(("STOP", "UNSUBSCRIBE", "END", "QUIT", "STOPALL", "REVOKE", "OPTOUT", "CANCEL"), "STOP"),
    **dict.fromkeys(("START", "UNSTOP", "YES"), "START"),
    **dict.fromkeys(("HELP", "INFO", "HILFE"), "HELP"),
}
HELP = {
    "en": "{name}: we text about outages and maintenance. Reply STOP to end that, START to begin again.",
    "de": "{name}: Wir schreiben bei Ausfällen und Wartungen. STOP beendet das, START nimmt es wieder auf.",
}
"""What HELP is answered with; one segment each with a name of up to 60 letters."""
GERMAN = frozenset({"HILFE"})
MAX_NAME = 60


class Form(dict[str, list[str]]):
    """A form as it was posted: names may stand more than once. `getlist` is what Twilio's validator asks for."""

    @classmethod
    def parse(cls, body: bytes) -> "Form":
        """Reads application/x-www-form-urlencoded. Raises ValueError: not UTF-8, or too many fields."""
        form = cls()
        for name, value in parse_qsl(
            body.decode("utf-8"), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS
        ):
            form.setdefault(name, []).append(value)
        return form

    def getlist(self, name: str) -> list[str]:
        """Every value of a name."""
        return self[name]

    def first(self, *names: str) -> str | None:
        """The first value of the first of `names` that has one that is not empty."""
        return next((value for name in names for value in self.get(name, ()) if value), None)


def is_from_twilio(auth_token: str | None, url: str, form: Mapping[str, Sequence[str]], signature: str | None) -> bool:
    """Whether `signature` is Twilio's over `url`, as it was configured there, and the posted form.

    Without an auth token nothing is from Twilio. With and without the port both count, as Twilio's own library has it.
    """
    if not auth_token or not signature:
        return False
    return bool(RequestValidator(auth_token).validate(url, form, signature))


def reported(form: Form, intent_id: str, at: datetime) -> DeliveryReported | None:
    """A status callback; None where it names no message or no status."""
    sid, status = form.first("MessageSid", "SmsSid"), form.first("MessageStatus", "SmsStatus")
    if sid is None or status is None:
        return None
    return DeliveryReported(
        channel=Channel.SMS,
        intent_id=intent_id,
        provider_id=sid,
        status=status,
        code=form.first("ErrorCode"),
        at=at,
    )


def keyword_received(form: Form, vault: Vault, at: datetime) -> KeywordReceived | None:
    """An inbound message that opts out or in, its number made a token; None for anything else."""
    sid, sender, keyword = form.first("MessageSid", "SmsSid"), form.first("From"), _keyword(form)
    if sid is None or sender is None or keyword is None:
        return None
    try:
        token = vault.address_token(Channel.SMS, sender)
    except BadAddress:
        return None  # a short code, or another channel's address: none of our subscribers has it
    return KeywordReceived(channel=Channel.SMS, address_token=token, keyword=keyword, provider_id=sid, at=at)


def answer_to_help(form: Form, name: str) -> str:
    """TwiML that says who writes and how to end it; empty where Twilio has answered in the account's own words."""
    if _decided(form) is not None or _keyword(form) != "HELP":
        return NO_REPLY
    text = HELP["de" if _said(form) in GERMAN else "en"].format(name=name[:MAX_NAME])
    return REPLY.format(text=html.escape(text, quote=False))


def _keyword(form: Form) -> Keyword | None:
    return _decided(form) or KEYWORDS.get(_said(form))


def _decided(form: Form) -> Keyword | None:
    """Set where the account has its own words (Advanced Opt-Out): Twilio has then decided already."""
    return KEYWORDS.get((form.first("OptOutType") or "").upper())


def _said(form: Form) -> str:
    return "".join(c for c in form.first("Body") or "" if c.isalpha()).upper()
