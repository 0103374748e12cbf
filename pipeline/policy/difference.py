"""What changed from one published version to another."""

import difflib
from collections.abc import Iterable, Iterator

from pipeline.errors import NotFound
from schemas.policy import PolicyPublished


def by_prefix(prefix: str, published: Iterable[PolicyPublished]) -> PolicyPublished:
    """The version whose hash begins so. Raises `NotFound`, also where several do."""
    found = {one.hash: one for one in published if one.hash.startswith(prefix.lower())}
    if len(found) == 1:
        return next(iter(found.values()))
    what = f"{len(found)} versions have a hash" if found else "no version has a hash"
    raise NotFound(f"{what} that begins with {prefix!r}; `tocsin policy history` lists them")


def difference(old: PolicyPublished, new: PolicyPublished) -> Iterator[str]:
    """A unified diff of all documents and templates, line by line; nothing where nothing changed."""
    for path in sorted(old.documents.keys() | new.documents.keys()):
        yield from difflib.unified_diff(
            old.documents.get(path, "").splitlines(),
            new.documents.get(path, "").splitlines(),
            fromfile=f"{old.hash[:12]}/{path}" if path in old.documents else "/dev/null",
            tofile=f"{new.hash[:12]}/{path}" if path in new.documents else "/dev/null",
            lineterm="",
        )
