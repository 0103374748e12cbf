"""The policy that decisions are made under: documents and templates read from files, published, compiled by hash."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import cast

from jinja2 import DictLoader, StrictUndefined, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment, SandboxedEnvironment

from pipeline.errors import PolicyError
from pipeline.policy_documents import DOCUMENTS, Approvals, Audience, Audiences, Cadence, Voice, line_of, parse
from schemas.policy import PolicyPublished, hash_of

TEMPLATES = Path(__file__).parent / "templates"
PREFIX = "templates/"
REQUIRED_TEMPLATES = ("content.j2", "email.txt.j2", "email.html.j2", "sms.txt.j2", "x.txt.j2")


@dataclass(frozen=True)
class Policy:
    """One version of everything that a decision hangs on, named by `hash`."""

    name: str
    hash: str
    audiences: dict[str, Audience]
    cadence: Cadence
    approvals: dict[str, str]
    voice: Voice
    templates: SandboxedEnvironment


def load(directory: Path) -> PolicyPublished:
    """The documents in `directory` with the templates of this installation. Raises `PolicyError`.

    The templates belong to it, so that a replay speaks with the very words of the time.
    """
    if not directory.is_dir():
        raise PolicyError(f"{directory} is no directory; set TOCSIN_POLICY_DIR to one with {', '.join(DOCUMENTS)}")
    documents = {path.name: _read(path) for path in sorted(directory.glob("*.y*ml"))}
    for path in sorted(TEMPLATES.rglob("*.j2")):
        documents[PREFIX + path.relative_to(TEMPLATES).as_posix()] = _read(path)
    published = PolicyPublished(name=directory.resolve().name, hash=hash_of(documents), documents=documents)
    compile(published)
    return published


def compile(published: PolicyPublished) -> Policy:
    """The policy ready for use; the same hash gives the same object. Raises `PolicyError`."""
    return _compiled(published.name, published.hash, tuple(sorted(published.documents.items())))


@lru_cache(maxsize=64)
def _compiled(name: str, digest: str, documents: tuple[tuple[str, str], ...]) -> Policy:
    texts = dict(documents)
    for required in DOCUMENTS:
        if required not in texts:
            raise PolicyError(f"{required} is missing; copy it from deploy/policies/default and change what you need")
    parsed = {path: parse(path, text) for path, text in documents if not path.startswith(PREFIX)}
    voice = cast(Voice, parsed["voice.yaml"])
    return Policy(
        name=name,
        hash=digest,
        audiences=cast(Audiences, parsed["audiences.yaml"]).audiences,
        cadence=cast(Cadence, parsed["cadence.yaml"]),
        approvals=cast(Approvals, parsed["approvals.yaml"]).needs_approval,
        voice=voice,
        templates=_templates(texts, voice.language),
    )


def _templates(texts: dict[str, str], language: str) -> SandboxedEnvironment:
    """The templates among the documents, each parsed once."""
    for required in REQUIRED_TEMPLATES:
        if f"{PREFIX}{language}/{required}" not in texts:
            line = line_of(texts["voice.yaml"], "language")
            raise PolicyError(f"voice.yaml:{line}: language {language!r} has no template {required}; choose another")
    environment = _environment({p.removeprefix(PREFIX): text for p, text in texts.items() if p.startswith(PREFIX)})
    for name in environment.list_templates():
        try:
            environment.get_template(name)
        except TemplateSyntaxError as error:
            raise PolicyError(f"{PREFIX}{error.name or name}:{error.lineno}: {error.message}") from None
    return environment


def _environment(templates: dict[str, str]) -> SandboxedEnvironment:
    """A sandbox that sees exactly `templates`, and nothing that is random or changes anything."""
    environment = ImmutableSandboxedEnvironment(
        loader=DictLoader(templates),
        autoescape=lambda name: name is not None and name.endswith(".html.j2"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.globals.clear()
    del environment.filters["random"]
    return environment


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError(f"{path}: cannot be read as UTF-8 text: {error}") from None
