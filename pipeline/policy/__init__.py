"""The policy that decisions are made under: documents and templates read from files, published, compiled by hash."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import cast

from jinja2.sandbox import SandboxedEnvironment

from pipeline.errors import PolicyError
from pipeline.policy import wording
from pipeline.policy.audiences import Audiences
from pipeline.policy.cadence import Cadence
from pipeline.policy.catalogue import Catalogue
from pipeline.policy.checks import together
from pipeline.policy.compiled import Policy as Policy  # part of this module's own interface
from pipeline.policy.guard import Guard
from pipeline.policy.languages import Languages
from pipeline.policy.reading import DOCUMENTS, parse
from pipeline.policy.source import Fault, Source
from pipeline.policy.words import Document, nearest
from schemas.base import is_id
from schemas.policy import PolicyPublished, hash_of

SHIPPED = Path(__file__).parent.parent.parent / "deploy" / "policies"
MAX_BYTES = 900_000
"""Of all documents and templates together: the broker takes records of up to 1 MB."""
_MISSING = "this is missing; copy it from deploy/policies/small-saas and change it"


@dataclass(frozen=True, slots=True)
class _Version:
    """A published version as the cache knows it: whose documents they are, the hash says."""

    name: str
    hash: str
    documents: Mapping[str, str] = field(compare=False)


def find(named: Path) -> Path:
    """The directory that TOCSIN_POLICY_DIR names: by its path, or by the bare name of a policy that ships.

    Raises `PolicyError`.
    """
    if named.is_dir():
        return named
    shipped = sorted(path.name for path in SHIPPED.glob("*") if path.is_dir())
    if len(named.parts) == 1 and named.name in shipped:
        return SHIPPED / named
    raise PolicyError(
        f"{named} is no directory, and no policy that ships is called so; {nearest(named.name, shipped)}"
        f" (a policy of your own is a directory with {', '.join(DOCUMENTS)})"
    )


def load(named: Path) -> PolicyPublished:
    """The documents in the directory `named` (see `find`), with the templates. Raises `PolicyError` with all faults.

    The templates belong to it, so that a replay speaks with the very words of the time.
    """
    directory = find(named)
    name = directory.resolve().name
    if not is_id(name):
        raise PolicyError(f"{name!r} names no policy; call the directory by letters, digits and . _ : - only, no blank")
    paths = {path.name: path for path in sorted(directory.glob("*.y*ml")) if not path.name.startswith(".")}
    documents = {name: _read(path) for name, path in (paths | wording.files(directory)).items()}
    if (size := sum(len(text.encode()) for text in documents.values())) > MAX_BYTES:
        raise PolicyError(f"{directory} has {size} bytes; make it smaller: a record takes {MAX_BYTES} at most")
    published = PolicyPublished(name=name, hash=hash_of(documents), documents=documents)
    _refuse((*_compiled(_Version(name, published.hash, documents))[1], *wording.strange(directory)))
    return published


def compile(published: PolicyPublished) -> Policy:
    """The policy ready for use; the same name and hash give the same object. Raises `PolicyError`. Reads no file."""
    policy, faults = _compiled(_Version(published.name, published.hash, published.documents))
    _refuse(faults)
    return cast(Policy, policy)


def _refuse(faults: tuple[Fault, ...]) -> None:
    if faults:
        raise PolicyError("\n".join(str(fault) for fault in sorted(faults, key=_in_order)))


def _in_order(fault: Fault) -> tuple[bool, str, int]:
    return fault.document.startswith(wording.PREFIX), fault.document, fault.line


@lru_cache(maxsize=64)
def _compiled(version: _Version) -> tuple[Policy | None, tuple[Fault, ...]]:
    """The policy, or everything that is wrong with it."""
    texts = version.documents
    documents = {name for name in texts if not name.startswith(wording.PREFIX)}
    faults = [Fault(name, 1, _MISSING) for name in DOCUMENTS.keys() - documents]
    parsed: dict[str, tuple[Document, Source]] = {}
    for name in documents:
        found, wrong = parse(name, texts[name])
        faults += wrong
        if found is not None:
            parsed[name] = found
    templates, broken = wording.environment(texts)
    faults += broken
    if parsed.keys() != DOCUMENTS.keys():
        return None, tuple(faults)
    policy = _put_together(version, {name: document for name, (document, _) in parsed.items()}, templates)
    faults += [parsed[name][1].fault(path, text) for name, path, text in together(policy, texts)]
    return (None if faults else policy), tuple(faults)


def _put_together(version: _Version, parsed: Mapping[str, Document], templates: SandboxedEnvironment) -> Policy:
    return Policy(
        name=version.name,
        hash=version.hash,
        audience=cast(Audiences, parsed["audiences.yaml"]),
        cadence=cast(Cadence, parsed["cadence.yaml"]),
        guard=cast(Guard, parsed["guard.yaml"]),
        catalogue=cast(Catalogue, parsed["catalogue.yaml"]),
        languages=cast(Languages, parsed["languages.yaml"]),
        templates=templates,
    )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError(f"{path}: this cannot be read as UTF-8 text ({error}); save it as UTF-8") from None
