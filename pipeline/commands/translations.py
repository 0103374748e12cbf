"""`--translation de.summary=…`: the texts of an event in another language, by the names of their flags."""

from collections.abc import Iterable, Mapping
from typing import Any

import typer

from schemas.incident import NONE, Translation


def put(data: dict[str, Any], field: str, value: Any) -> None:
    """Sets a field of the wire that may be one of a group: `consequences.now`."""
    outer, dot, inner = field.partition(".")
    if dot:
        data.setdefault(outer, {})[inner] = value
    else:
        data[outer] = value


def translated(given: Iterable[str], fields: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """`translations` as the event holds them; `fields`: where a flag's value goes. Raises typer.BadParameter."""
    known = {
        name.replace("_", "-"): field for name, field in fields.items() if _outer(field) in Translation.model_fields
    }
    found: dict[str, dict[str, Any]] = {}
    for one in given:
        place, equals, text = one.partition("=")
        language, _, name = place.strip().partition(".")
        if not equals or name not in known:
            raise typer.BadParameter(
                f"--translation: {one!r} is not of the form LANGUAGE.WHAT=TEXT, with one of {', '.join(sorted(known))}"
            )
        put(found.setdefault(language, {}), known[name], NONE if text.strip().lower() == NONE else text)
    return found


def _outer(field: str) -> str:
    return field.partition(".")[0]
