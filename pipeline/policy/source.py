"""The text of a policy document, as plain values that know on which line they stand.

YAML guesses what a word means: it reads 17:00 as 1020, NO (Norway) and off as false, 007 as 7. Here every text stays
text, and the models say what it means. Nothing else of YAML is taken but lists, keys with values, and aliases.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from pipeline.policy.words import Path

NOTHING = ("", "~", "null", "Null", "NULL")
_TAGS = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "seq", "map")}

_BAD_YAML: tuple[tuple[str, str], ...] = (
    ("found character '\\t'", "a tab stands here; indent with blanks"),
    ("found character", "a text cannot begin with this character; put it in quotes"),
    ("mapping values are not allowed", "a second ': ' stands in this line; put the text in quotes, or begin a line"),
    ("could not find expected ':'", "a ':' is missing after this; add it, or put the text in quotes"),
    ("expected ',' or ']'", "a list begins here and is not closed; add ]"),
    ("expected ',' or '}'", "a group of keys begins here and is not closed; add }"),
    ("expected the node content", "a value is missing here; write one, or close what has begun"),
    ("quoted scalar", "a quote begins here and is not closed; add it"),
    ("expected <block end>", "this does not line up with the lines that it belongs to; indent it as they are"),
    ("expected a single document", "a second document begins here; remove the line ---"),
    ("undefined alias", "a text cannot begin with * unless it names an anchor; put it in quotes"),
    ("expected alphabetic or numeric", "a text cannot begin with * or &; put it in quotes"),
)
"""What the parser of YAML says, and what to do about it. The first that fits counts."""
_WHERE_IT_BEGAN = ("could not find expected ':'", "expected ',' or", "quoted scalar")
"""Of what is not closed the parser names the end; where it begins helps more."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is wrong in a document. `line` counts from 1; `text` says what it is and how to mend it."""

    document: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.document}:{self.line}: {self.text}"


@dataclass(frozen=True, slots=True)
class Source:
    """A document that could be read: its value of lists, dictionaries and texts, and where each part stands."""

    document: str
    value: Any
    root: Node | None

    def line(self, path: Path) -> int:
        """The line, from 1, of the deepest part of `path` that stands in the document."""
        node, line = self.root, self.root.start_mark.line if self.root else 0
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

    def fault(self, path: Path, text: str) -> Fault:
        """What is wrong at `path`, with the keys that lead there."""
        where = ".".join(part for part in path if isinstance(part, str))
        return Fault(self.document, self.line(path), f"{where}: {text}" if where else text)


def read(document: str, text: str) -> tuple[Source | None, tuple[Fault, ...]]:
    """The document, or what is wrong with its form."""
    try:
        root = yaml.compose(text, Loader=yaml.BaseLoader)  # the one that guesses nothing
    except yaml.MarkedYAMLError as error:
        return None, (_bad_form(document, error),)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        return None, (Fault(document, line, f"the character #x{error.character:x} cannot stand here; remove it"),)
    except RecursionError:
        return None, (Fault(document, 1, "this is nested too deeply; write it flatter"),)
    if faults := tuple(_Walk(document).faults(root)):
        return None, faults
    return Source(document, _value(root, {}), root), ()


def _bad_form(document: str, error: yaml.MarkedYAMLError) -> Fault:
    said = f"{error.context or ''} {error.problem or ''}"
    mark = error.problem_mark or error.context_mark
    if error.context_mark is not None and any(words in said for words in _WHERE_IT_BEGAN):
        mark = error.context_mark
    text = next((text for words, text in _BAD_YAML if words in said), f"this is no YAML ({said.strip()}); mend it")
    return Fault(document, mark.line + 1 if mark else 1, text)


class _Walk:
    """One walk over a document: what is YAML, but none of what a policy is written in. Each part is seen once."""

    def __init__(self, document: str) -> None:
        self._document = document
        self._done: set[Node] = set()

    def faults(self, node: Node | None, above: tuple[Node, ...] = ()) -> Iterator[Fault]:
        if node in above:
            yield self._fault(node, "an alias stands within what it names; write it out")
        if node is None or node in self._done:
            return
        self._done.add(node)
        if node.tag not in _TAGS:
            tag = node.tag.replace("tag:yaml.org,2002:", "!!")
            yield self._fault(node, f"{tag!r} means nothing here; remove it")
        parts = node.value if isinstance(node, SequenceNode) else ()
        if isinstance(node, MappingNode):
            yield from self._keys(node)
            parts = [value for _, value in node.value]
        for part in parts:
            yield from self.faults(part, (*above, node))

    def _keys(self, node: MappingNode) -> Iterator[Fault]:
        """YAML itself would silently keep the last of two keys."""
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key, ScalarNode):
                yield self._fault(key, "a key must be text; put it in quotes")
            elif key.value in seen:
                yield self._fault(key, f"{key.value!r} stands twice; keep one")
            else:
                seen.add(key.value)

    def _fault(self, node: Node, text: str) -> Fault:
        return Fault(self._document, node.start_mark.line + 1, text)


def _value(node: Node | None, made: dict[Node, Any]) -> Any:
    """The value of `node`; what several aliases name is `made` once."""
    if node is None or node in made:
        return made.get(node) if node else None
    match node:
        case MappingNode():
            value: Any = {key.value: _value(part, made) for key, part in node.value}
        case SequenceNode():
            value = [_value(item, made) for item in node.value]
        case _:
            bare = isinstance(node, ScalarNode) and node.style is None
            value = None if bare and node.value in NOTHING else node.value
    made[node] = value
    return value
