"""The links in our messages: each lets its holder do one thing, and says so in a signed token."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from pipeline.deliver.people import Someone
from pipeline.vault import Vault
from schemas.base import Channel
from schemas.subscriber import SubscriberKind

CONFIRM_WITHIN = timedelta(days=7)
"""A request for confirmation that nobody answered so long was not wanted."""


@dataclass(frozen=True, slots=True)
class Links:
    """The links to the web service at `base`."""

    base: str
    vault: Vault
    bounces: bool = True
    """Whether what comes back is taken in: where nobody would read it, no mail has a return path of its own."""

    def leave(self, subscriber: Someone, channel: Channel) -> str:
        """Where a message's reader leaves. Behind a list stand many: there is a page that says whom to ask."""
        if subscriber.kind is SubscriberKind.LIST:
            return f"{self.base}/l/{self.vault.link_token(subscriber.id, channel, 'list')}"
        return f"{self.base}/u/{self.vault.link_token(subscriber.id, channel, 'unsubscribe')}"

    def confirm(self, subscriber: Someone, channel: Channel, at: datetime) -> str | None:
        """Where the address's owner confirms it; None without an address."""
        if (address := subscriber.address_tokens.get(channel)) is None:
            return None
        return f"{self.base}/c/{self.vault.confirm_token(subscriber.id, channel, address, at + CONFIRM_WITHIN)}"

    def return_path(self, intent_id: str, partition: int) -> str | None:
        """What names a mail in its return path, signed; None where bounces come to nobody."""
        return self.vault.return_token(intent_id, partition) if self.bounces else None

    def status_callback(self, intent_id: str, partition: int) -> str:
        """Where Twilio says what became of a text message."""
        return f"{self.base}/twilio/status?d={self.vault.callback_token(intent_id, partition)}"
