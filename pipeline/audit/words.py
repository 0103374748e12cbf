"""The words themselves: renderings by their hash, wherever a log lies, and only if they have that hash."""

import hashlib
from collections.abc import Iterable, Mapping

from pydantic import ValidationError

from pipeline.audit.places import Place
from pipeline.errors import AuditError, NotFound
from schemas import topics
from schemas.rendering import AnyContent, Rendering, content_in, render_bytes


async def renderings(place: Place, wanted: Iterable[str]) -> dict[str, Rendering]:
    """The renderings that are at hand, by hash. Raises AuditError where one is not what its hash says."""
    missing, found = set(wanted), dict[str, Rendering]()
    only = next(iter(missing)) if len(missing) == 1 else None
    try:
        if missing:
            async for record in place.records(topics.RENDERINGS, only):
                name = (record.key or b"").decode("ascii", "replace")
                if name in missing:
                    found[name] = _checked(name, record.value or b"")
                    missing.discard(name)
    except NotFound:
        pass  # an export holds the log alone; whoever asks is told whose words are not at hand
    return found


def exact(rendering: Rendering) -> bytes:
    """The bytes that its hash names."""
    return render_bytes(rendering.language, rendering.level, rendering.content, rendering.moments)


def said_in(rendering: Rendering, zone: str) -> dict[str, str]:
    """What a reader of that row of moments got, by its parts: subject, text, html."""
    content: AnyContent = content_in(rendering, zone)
    return {name: value for name, value in content if isinstance(value, str) and name not in NO_WORDS}


NO_WORDS = {"channel", "encoding"}


def readable(parts: Mapping[str, str]) -> str:
    """The same for eyes: subject or title, and the text."""
    head = parts.get("subject") or parts.get("title")
    return "\n\n".join(filter(None, (head, parts.get("text"))))


def _checked(name: str, value: bytes) -> Rendering:
    try:
        rendering = Rendering.model_validate_json(value)
    except ValidationError as error:
        raise AuditError(f"the rendering {name} cannot be read: {error.error_count()} faults in its record") from None
    if hashlib.sha256(exact(rendering)).hexdigest() != name:
        raise AuditError(f"the rendering {name} was changed: its bytes have another hash")
    return rendering
