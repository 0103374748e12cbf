"""An entry of the log, from its exact bytes, and the message in it."""

from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import ValidationError

from pipeline.audit.held import index_of
from pipeline.errors import AuditError
from schemas import topics
from schemas.audit import AuditEntry
from schemas.base import Message
from schemas.codec import TYPES
from schemas.subscriber import SealedContact

NO_CONTACT = SealedContact(nonce="", ciphertext="").model_dump()
"""In place of contact data, of which the log holds a hash only."""


def entry_of(value: bytes) -> AuditEntry:
    """Reads an entry. Raises AuditError, naming it: even what links may be nothing that the record room ever wrote."""
    with understood(index_of(value)):
        return AuditEntry.model_validate_json(value)


def message_of(entry: AuditEntry) -> Message | None:
    """What was sealed, as the message that it was; None where only a hash of it is there. Raises ValidationError."""
    model, body = TYPES.get(entry.record_type), entry.body
    if model is None or body is None:
        return None
    if entry.origin.topic == topics.SUBSCRIBER_EVENTS_TOPIC.name and body.get("contact") is not None:
        body = {**body, "contact": NO_CONTACT}
    return model.model_validate(body)


@contextmanager
def understood(number: int) -> Iterator[None]:
    """Whatever in the block makes no sense of entry `number` becomes an AuditError that names it."""
    try:
        yield
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        said = str(error)
        if isinstance(error, ValidationError):
            first = error.errors(include_url=False, include_input=False)[0]
            said = f"{'.'.join(map(str, first['loc'])) or 'as a whole'}: {first['msg']}"
        raise AuditError(
            f"what stands as entry {number} makes no sense ({said}): it was changed, or is another than the record "
            "room wrote. Hold the log against a checkpoint of your own keeping: `tocsin audit verify`"
        ) from None
