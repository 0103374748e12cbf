"""The ways to reach people. Each channel is one module; ADDING.md says how to add another."""

from collections.abc import Callable

from pipeline.channels.apprise import AppriseSender, apprise_settings
from pipeline.channels.base import Envelope, Recipient, Sender, Sent
from pipeline.channels.email import EmailSender, email_settings
from pipeline.channels.sms import SmsSender, sms_settings
from pipeline.channels.webhook import WebhookSender, webhook_settings
from pipeline.channels.x import XSender, x_settings
from pipeline.settings import Settings
from schemas.base import Channel

__all__ = ["Envelope", "Recipient", "Sender", "Sent", "build_senders"]


def build_senders(settings: Settings, callback_url: Callable[[str, int], str]) -> dict[Channel, Sender]:
    """The channels that are set up; one without settings is absent.

    `callback_url(intent_id, partition)` is where Twilio reports on a message. Opens no connection. Raises
    ConfigurationError naming the variable to set where a channel is set up by half.
    """
    senders: dict[Channel, Sender] = {}
    if (email := email_settings(settings)) is not None:
        senders[Channel.EMAIL] = EmailSender(email)
    if (sms := sms_settings(settings)) is not None:
        senders[Channel.SMS] = SmsSender(sms, callback_url)
    if (x := x_settings(settings)) is not None:
        senders[Channel.X] = XSender(x)
    if (webhook := webhook_settings(settings)) is not None:
        senders[Channel.WEBHOOK] = WebhookSender(webhook)
    if (apprise := apprise_settings(settings)) is not None:
        senders[Channel.APPRISE] = AppriseSender(apprise)
    return senders
