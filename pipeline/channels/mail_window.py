"""A window of mails while it is being sent."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from pipeline.channels.base import Envelope, Recipient, Sent
from pipeline.channels.mime import MailTemplate


@dataclass
class Window:
    """A window under way: whom it is for, and what is known of each so far."""

    envelope: Envelope
    recipients: Sequence[Recipient]
    ends_waiting: float
    """The moment, by the loop's clock, from which on it does not wait for a limit any more."""
    known: list[Sent | None] = field(init=False)
    addresses: dict[int, str] = field(default_factory=dict)
    """By place, as SMTP wants them; those that are none have been answered."""
    templates: dict[int, MailTemplate] = field(default_factory=dict)
    """By place, what each of them is to get."""

    def __post_init__(self) -> None:
        self.known = [None] * len(self.recipients)

    def open(self) -> list[int]:
        """The places of those of whom nothing is known."""
        return [place for place, sent in enumerate(self.known) if sent is None]

    def domain(self, place: int) -> str:
        """Where it goes."""
        return self.addresses[place].rpartition("@")[2].lower()

    def refuse(self, places: Sequence[int], sent: Sent) -> None:
        """The same answer for several."""
        for place in places:
            self.known[place] = sent

    def answers(self, otherwise: Sent) -> list[Sent]:
        """One each, in order; `otherwise` for those of whom nothing is known."""
        return [sent or otherwise for sent in self.known]
