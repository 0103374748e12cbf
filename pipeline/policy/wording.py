"""The templates of a policy: ours, and in their place those that a team has in its own folder."""

from collections.abc import Callable, Iterator, Mapping
from functools import cache, lru_cache
from pathlib import Path

from jinja2 import BaseLoader, Environment, StrictUndefined, TemplateNotFound, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment, SandboxedEnvironment

from pipeline.policy.source import Fault
from pipeline.policy.words import nearest

OURS = Path(__file__).parent.parent / "templates"
PREFIX = "templates/"
COMPLETE = "en"
"""Whatever this language has a template for, every other one must have."""


def files(directory: Path) -> dict[str, Path]:
    """Every template by its name in a policy: ours, overridden by those under `directory`/templates."""
    found = {name: path for name, path in _under(OURS) if name.endswith(".j2")}
    return found | dict(_under(directory / "templates"))


def strange(directory: Path) -> Iterator[Fault]:
    """Templates of a team that would never be spoken, since nothing of ours has their name."""
    ours = dict(_under(OURS))
    for name in dict(_under(directory / "templates")):
        language, _, rest = name.removeprefix(PREFIX).partition("/")
        # A language that we have no words for, or one that says a thing in a structure of its own.
        another = len(language) == 2 and not ours.keys().isdisjoint((f"{PREFIX}{COMPLETE}/{rest}", PREFIX + rest))
        if name not in ours and not another:
            yield Fault(name, 1, f"no template of ours is called so, so it is never used; {nearest(name, ours)}")


def _under(directory: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(directory.rglob("*")):
        if path.is_file() and not path.name.startswith(".") and not path.name.endswith("~"):
            yield PREFIX + path.relative_to(directory).as_posix(), path


def missing(language: str, documents: Mapping[str, str]) -> list[str]:
    """The templates that `language` needs and that are not there: what is no other form of what all languages share."""
    complete = f"{PREFIX}{COMPLETE}/"
    rests = sorted(name.removeprefix(complete) for name in documents if name.startswith(complete))
    needed = [f"{PREFIX}{language}/{rest}" for rest in rests if PREFIX + rest not in documents]
    return [name for name in needed if name not in documents]


class _Named(BaseLoader):
    """Has the name of a template stand in the traceback when it fails, so that the line can be told."""

    def __init__(self, templates: Mapping[str, str]) -> None:
        self._templates = templates

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, Callable[[], bool]]:
        if template not in self._templates:
            raise TemplateNotFound(template)
        return self._templates[template], PREFIX + template, lambda: True

    def list_templates(self) -> list[str]:
        return sorted(self._templates)


@cache
def ours() -> SandboxedEnvironment:
    """Our own templates alone, for what is said where no policy has words for it."""
    return environment({name: path.read_text("utf-8") for name, path in files(OURS.parent / "nowhere").items()})[0]


def environment(documents: Mapping[str, str]) -> tuple[SandboxedEnvironment, tuple[Fault, ...]]:
    """The templates among `documents`, each compiled once, and what is wrong with them."""
    return _compiled(tuple((n.removeprefix(PREFIX), t) for n, t in documents.items() if n.startswith(PREFIX)))


@lru_cache(maxsize=16)  # versions of a policy mostly share their words, and compiling them takes a fifth of a second
def _compiled(texts: tuple[tuple[str, str], ...]) -> tuple[SandboxedEnvironment, tuple[Fault, ...]]:
    """A sandbox that sees exactly these, and nothing that is random or changes anything."""
    templates = dict(texts)
    found = ImmutableSandboxedEnvironment(
        loader=_Named(templates),
        autoescape=lambda name: name is not None and name.endswith(".html.j2"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    found.globals.clear()
    del found.filters["random"]
    return found, tuple(_broken(found, templates))


def _broken(environment: SandboxedEnvironment, templates: Mapping[str, str]) -> Iterator[Fault]:
    for name in templates:
        try:
            environment.get_template(name)
        except TemplateSyntaxError as error:
            text = f"{error.message or 'this is no template'}; mend the tag in this line"
            yield Fault(PREFIX + name, error.lineno, text)
