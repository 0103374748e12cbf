"""Asking: a subscriber whose address nobody has confirmed yet is sent the request for it, as a batch like any other."""

from collections.abc import Callable
from email.utils import parseaddr

from jinja2 import Environment

from agents.emit import Emitter
from pipeline.deliver.confirmation import requests
from pipeline.policy import wording
from pipeline.policy.compiled import Policy
from schemas.base import Message
from schemas.codec import Record
from schemas.subscriber import Subscriber

OUR_LANGUAGES = ("en", "de")


class Asking:
    """Writes the requests that a subscriber's event brings."""

    def __init__(self, emitter: Emitter, policy: Callable[[], Policy | None], name: str) -> None:
        """`policy`: the one in force; `name`: who speaks where there is none."""
        self._emitter = emitter
        self._policy = policy
        self._name = name
        self._ours = wording.ours()

    async def ask(self, record: Record, event: Message, subscriber: Subscriber) -> None:
        """Returns when the broker has the requests; the same event again brings the same ones."""
        words, name, languages = self._speech()
        for batch in requests(subscriber, event, record.timestamp, record.partition, words, name, languages):
            await self._emitter.batch(batch, record.partition)

    def _speech(self) -> tuple[Environment, str, tuple[str, ...]]:
        """The words of the policy in force; ours, where it was published before there were any for this."""
        policy = self._policy()
        if policy is None:
            return self._ours, self._name, OUR_LANGUAGES
        spoken = policy.languages
        languages = (spoken.default, *(language for language in spoken.languages if language != spoken.default))
        there = set(policy.templates.list_templates())
        if {f"{language}/confirmation.j2" for language in languages} <= there:
            return policy.templates, spoken.name, languages
        return self._ours, spoken.name, OUR_LANGUAGES


def name_in(mail_from: str) -> str:
    """The display name of a sender, or its address."""
    name, address = parseaddr(mail_from)
    return name or address
