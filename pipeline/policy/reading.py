"""Reading the policy documents as frozen models; whatever is wrong is said with file, line and fix."""

from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from pipeline.policy.audiences import Audiences
from pipeline.policy.cadence import Cadence
from pipeline.policy.catalogue import Catalogue
from pipeline.policy.guard import Guard
from pipeline.policy.languages import Languages
from pipeline.policy.source import Fault, Source, read
from pipeline.policy.words import OURS, Document, Path, nearest, shown

DOCUMENTS: Mapping[str, type[Document]] = {
    "audiences.yaml": Audiences,
    "cadence.yaml": Cadence,
    "guard.yaml": Guard,
    "catalogue.yaml": Catalogue,
    "languages.yaml": Languages,
}

_SAID: Mapping[str, str] = {
    "bool_parsing": "{input} is neither true nor false; write one of them",
    "bool_type": "{input} is neither true nor false; write one of them",
    "int_parsing": "{input} is no whole number; write one like 10",
    "int_type": "{input} is no whole number; write one like 10",
    "int_from_float": "{input} is no whole number; write one like 10",
    "int_parsing_size": "{input} is too large; write less",
    "float_parsing": "{input} is no number; write one like 10",
    "float_type": "{input} is no number; write one like 10",
    "finite_number": "{input} is no number; write one like 10",
    "greater_than_equal": "{input} is too small; write at least {ge}",
    "greater_than": "{input} is too small; write more than {gt}",
    "less_than_equal": "{input} is too large; write at most {le}",
    "string_type": "{input} is no text; write one after the colon",
    "string_too_short": "nothing stands here; write a text",
    "string_too_long": "the text is too long; write at most {max_length} characters",
    "string_pattern_mismatch": "{input} is no name; use letters, digits and . _ : - only, no blank, at most 100",
    "tuple_type": "{input} is no list; write it like [one, other]",
    "dict_type": "{input} is no group of keys; write each key with its value on a line of its own",
    "model_type": "{input} is no group of keys; write each key with its value on a line of its own",
    "too_short": "nothing stands here; name at least one",
    "too_long": "these are too many; keep at most {max_length}",
}
"""What pydantic finds, by the type of its error, in our words."""


def parse(name: str, text: str) -> tuple[tuple[Document, Source] | None, tuple[Fault, ...]]:
    """The document called `name` with the places of its parts, or all that is wrong with it."""
    if name not in DOCUMENTS:
        return None, (Fault(name, 1, f"no policy document is called so; {nearest(name, DOCUMENTS)}"),)
    source, faults = read(name, text)
    if source is None:
        return None, faults
    if source.value is None:
        return None, (source.fault((), "the document is empty; copy one from deploy/policies/small-saas"),)
    try:
        return (DOCUMENTS[name].model_validate(source.value), source), ()
    except ValidationError as error:
        found = (_fault(source, DOCUMENTS[name], problem) for problem in error.errors())
        return None, tuple(dict.fromkeys(found))


def _fault(source: Source, model: type[Document], problem: Any) -> Fault:
    path: Path = tuple(part for part in problem["loc"] if part != "[key]")
    match problem["type"]:
        case "missing":
            text = f"{path[-1]!r} is missing; add it"
            return Fault(source.document, source.line(path), _at(path[:-1], text))
        case "extra_forbidden":
            text = f"{path[-1]!r} is not known here; {nearest(str(path[-1]), _keys(_part(model, path[:-1])))}"
            return Fault(source.document, source.line(path), _at(path[:-1], text))
        case kind if kind in _SAID:
            kind = f"string_{kind}" if isinstance(problem["input"], str) and f"string_{kind}" in _SAID else kind
            context = dict(problem.get("ctx", {}), input=shown(problem["input"]))
            return source.fault(path, _SAID[kind].format(**context))
        case kind:
            text = problem["msg"] if kind == OURS else problem["msg"].removeprefix("Value error, ")
            return source.fault(path, text)


def _at(path: Path, text: str) -> str:
    where = ".".join(part for part in path if isinstance(part, str))
    return f"{where}: {text}" if where else text


def _keys(part: type[BaseModel]) -> dict[str, Any]:
    """The keys that may stand in a part, each with the type of its value."""
    return {field.alias or name: field.annotation for name, field in part.model_fields.items()}


def _part(annotation: Any, path: Path) -> Any:
    """The type of what stands at `path` within something of the type `annotation`; pydantic found something there."""
    annotation = _chosen(annotation)
    if not path:
        return annotation
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return _part(_keys(annotation)[str(path[0])], path[1:])
    kinds = get_args(annotation)
    return _part(kinds[1] if get_origin(annotation) is dict else kinds[0], path[1:])


def _chosen(annotation: Any) -> Any:
    """Without the choice of leaving it out."""
    if get_origin(annotation) in (Union, UnionType):
        return next(kind for kind in get_args(annotation) if kind is not NoneType)
    return annotation
