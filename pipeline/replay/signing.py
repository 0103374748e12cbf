"""Those who approve in a back-test: operators of no deployment, whose keys are good for nothing else."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pipeline.authority import base64url, sign
from schemas.command import Approve
from schemas.ids import derived
from schemas.journal import Decision, FieldWithheld, NoticeHeld
from schemas.operator import Signature

SOURCE = "/tocsin/backtest/approvals"


@dataclass(frozen=True, slots=True)
class Order:
    """A command as it will be journaled: its CloudEvents id, what is ordered, and who signed for it."""

    id: str
    command: Approve
    signed: Signature


def approvals(incident: str, decision: Decision) -> Iterator[Order]:
    """The approvals that let a draft, or a withheld field, go out; none for a decision that nobody can approve.

    As many persons as it needs, each of whom holds every role it needs.
    """
    match decision:
        case NoticeHeld(refused=False):
            yield from _orders(incident, decision.draft, decision.content, decision.needs, decision.people)
        case FieldWithheld(draft=str() as draft, content=str() as content, needs=str() as needs):
            yield from _orders(incident, draft, content, (needs,), 1)


def _orders(incident: str, draft: str, content: str, needs: tuple[str, ...], people: int) -> Iterator[Order]:
    for number in range(people):
        id = derived("backtest.approve", incident, draft, content, number)
        command = Approve(draft=draft, content=content)
        said = command.model_dump(mode="json", exclude_none=True)
        key = _key(number)
        yield Order(
            id,
            command,
            Signature(
                operator=f"backtest-{number + 1}",
                public_key=base64url(key.public_key().public_bytes_raw()),
                roles=needs,
                signature=sign(key, incident, id, SOURCE, command.TYPE, said),
            ),
        )


@cache
def _key(number: int) -> Ed25519PrivateKey:
    """The same at every run, so that a back-test gives the same bytes; no deployment registers it."""
    return Ed25519PrivateKey.from_private_bytes(number.to_bytes(32, "big"))
