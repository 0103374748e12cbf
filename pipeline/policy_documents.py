"""The policy documents: YAML that reads like sentences, as frozen models; errors name file, line and fix."""

from collections.abc import Hashable
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from yaml.nodes import MappingNode, Node, SequenceNode

from pipeline.errors import PolicyError
from schemas.base import Channel, Id, Level, Line, Severity
from schemas.incident import Contact, Facts
from schemas.journal import NoticeKind

EVERYTHING = ("every notice", "every change")


def _kinds(value: object) -> frozenset[NoticeKind]:
    if value in EVERYTHING:
        return frozenset(NoticeKind)
    if not isinstance(value, list):
        raise ValueError(f"write {EVERYTHING[0]!r}, or a list of {_names(NoticeKind)}")
    found = set()
    for word in value:
        try:
            found.add(NoticeKind(str(word).replace(" ", "_")))
        except ValueError:
            raise ValueError(f"{word!r} is no kind of notice; use {_names(NoticeKind)}") from None
    return frozenset(found)


def _names(words: type[NoticeKind]) -> str:
    return ", ".join(word.replace("_", " ") for word in words)


def _severity(value: object) -> object:
    return "none" if value is None else value  # `severity: none` and `severity: null` look alike to a reader


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"{value!r} is no time zone; write one like Europe/Berlin") from None
    return value


Kinds = Annotated[frozenset[NoticeKind], BeforeValidator(_kinds)]
SeverityWord = Annotated[Severity, BeforeValidator(_severity)]


class Document(BaseModel):
    """A part of a policy document. Unknown keys are refused: a mistyped rule must not vanish silently."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Audience(Document):
    """One group: what it may see, from which severity on it hears of incidents, and on which channels of what."""

    level: Level
    from_severity: SeverityWord = Field(alias="hears from severity")
    channels: dict[Channel, Kinds] = Field(min_length=1)

    def channels_for(self, kind: NoticeKind) -> tuple[Channel, ...]:
        """The channels that may carry a notice of this kind, in a fixed order."""
        return tuple(channel for channel in Channel if kind in self.channels.get(channel, ()))


class Audiences(Document):
    """`audiences.yaml`."""

    audiences: dict[Id, Audience] = Field(min_length=1)


class Size(Document):
    """Which severities make an incident of this size, and at which notices it is told of."""

    severities: tuple[SeverityWord, ...]
    told_at: Kinds = Field(alias="told at")


class Sizes(Document):
    """Small and large; every severity is exactly one of them."""

    small: Size
    large: Size

    @model_validator(mode="after")
    def _cover_every_severity_once(self) -> "Sizes":
        named = [*self.small.severities, *self.large.severities]
        for severity in Severity:
            if named.count(severity) != 1:
                raise ValueError(f"severity {severity.value!r} must stand in exactly one of small and large")
        return self


class Lanes(Document):
    """What goes out by the first lane; everything else is an update."""

    first: Kinds
    first_when_large: Kinds = Field(alias="first when large")


class Cadence(Document):
    """`cadence.yaml`."""

    sizes: Sizes
    unsaid: Annotated[str, Field(pattern="^(small|large)$")] = Field(alias="while the severity is unsaid, it is")
    good_news: bool = Field(alias="good news is told at once")
    promised: bool = Field(alias="a promised update is told")
    lanes: Lanes

    def is_large(self, worst: Severity | None) -> bool:
        """Whether an incident whose worst severity was this counts as large."""
        return self.unsaid == "large" if worst is None else worst in self.sizes.large.severities


class Approvals(Document):
    """`approvals.yaml`."""

    needs_approval: dict[str, str] = Field(alias="needs approval")

    @model_validator(mode="after")
    def _names_fields_of_an_event(self) -> "Approvals":
        for name in self.needs_approval:
            if name not in Facts.model_fields:
                raise ValueError(
                    f"{name!r} is no field of an event; use one of {', '.join(sorted(Facts.model_fields))}"
                )
        return self


class Voice(Document):
    """`voice.yaml`."""

    name: Line
    language: Annotated[str, Field(pattern="^[a-z]{2}$")]
    clocks: dict[Line, Annotated[str, AfterValidator(_zone)]] = Field(
        alias="clocks beside UTC", default_factory=dict, max_length=3
    )
    contact: Contact | None = None
    link_on_x: Annotated[str, Field(pattern="^https://[!-~]+$")] | None = Field(alias="link on X", default=None)


DOCUMENTS: dict[str, type[Document]] = {
    "audiences.yaml": Audiences,
    "cadence.yaml": Cadence,
    "approvals.yaml": Approvals,
    "voice.yaml": Voice,
}


def parse(name: str, text: str) -> Document:
    """The document called `name`. Raises `PolicyError` with file, line and fix for the first thing that is wrong."""
    if name not in DOCUMENTS:
        raise PolicyError(f"{name}: no policy document is called so; there are {', '.join(DOCUMENTS)}")
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        value = yaml.load(text, Loader=_UniqueKeys)  # noqa: S506 - a SafeLoader that also refuses duplicate keys
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise PolicyError(f"{name}:{mark.line + 1 if mark else 1}: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise PolicyError(f"{name}:1: this is no YAML: {error}") from None
    try:
        return DOCUMENTS[name].model_validate(value)
    except ValidationError as error:
        raise PolicyError("\n".join(_sentence(name, root, problem) for problem in error.errors())) from None


def line_of(text: str, *path: str) -> int:
    """The line, from 1, on which the part of a sound document stands that `path` leads to."""
    return _line(yaml.compose(text, Loader=yaml.SafeLoader), list(path))


class _UniqueKeys(yaml.SafeLoader):
    """Refuses a key that stands twice: YAML would silently keep the last one."""

    def construct_mapping(self, node: MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"{key.value!r} stands twice; keep one", problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _sentence(name: str, root: Node | None, problem: Any) -> str:
    path = [part for part in problem["loc"] if part != "[key]"]
    where = ".".join(map(str, path)) or "the document"
    line = _line(root, path)
    match problem["type"]:
        case "missing":
            return f"{name}:{line}: {where} is missing; add it"
        case "extra_forbidden":
            return f"{name}:{line}: {where} is not known here; remove it, or look for a spelling mistake"
        case _:
            return f"{name}:{line}: {where}: {problem['msg'].removeprefix('Value error, ')}"


def _line(node: Node | None, path: list[Any]) -> int:
    """The line, from 1, of the deepest part of `path` that stands in the document."""
    line = node.start_mark.line if node is not None else 0
    for part in path:
        if isinstance(node, MappingNode):
            found = next(((key, value) for key, value in node.value if key.value == str(part)), None)
            if found is None:
                break
            line, node = found[0].start_mark.line, found[1]
        elif isinstance(node, SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line
        else:
            break
    return int(line) + 1
