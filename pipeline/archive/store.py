"""Where an archive lies: a folder of this machine, or whatever fsspec reaches (s3://bucket/prefix and others)."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import fsspec
from fsspec.core import url_to_fs

from pipeline.audit.files import replace_file
from pipeline.errors import ArchiveUnreachable, ConfigurationError


class Store:
    """Objects by name below one address. An object is there whole, or not at all; none is ever appended to."""

    def __init__(self, url: str) -> None:
        """Connects to nothing yet. Raises ConfigurationError where nobody knows such an address."""
        self.url = url
        try:
            self._system, self._root = url_to_fs(url)
        except ImportError as error:
            raise ConfigurationError(
                f"the archive {url} needs a package more ({error}); for S3-like stores: pip install 'tocsin[s3]'"
            ) from None
        except ValueError as error:
            raise ConfigurationError(
                f"the archive {url} is no folder and no address that fsspec knows: {error}"
            ) from None
        self._local = isinstance(self._system, fsspec.get_filesystem_class("file"))

    def names(self, folder: str) -> list[str]:
        """The names of the objects below a folder, in order. Raises ArchiveUnreachable."""
        with _reaching(self.url):
            self._system.invalidate_cache()
            found = self._system.find(f"{self._root}/{folder}")
        return sorted(
            name
            for path in found
            if not (name := str(path).removeprefix(self._root).lstrip("/")).rpartition("/")[2].startswith(".")
        )

    def get(self, name: str) -> bytes | None:
        """An object's bytes; None if there is none of that name. Raises ArchiveUnreachable."""
        with _reaching(self.url):
            with suppress(FileNotFoundError):
                return bytes(self._system.cat_file(f"{self._root}/{name}"))
            return None

    def holds(self, name: str) -> bool:
        """Whether there is an object of that name. Raises ArchiveUnreachable."""
        with _reaching(self.url):
            self._system.invalidate_cache()
            return bool(self._system.exists(f"{self._root}/{name}"))

    def put(self, name: str, content: bytes) -> None:
        """Writes an object; it is stored when this returns. Raises ArchiveUnreachable."""
        with _reaching(self.url):
            if self._local:
                path = Path(self._root, name)
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                replace_file(path, content)
            else:
                self._system.pipe_file(f"{self._root}/{name}", content)


@contextmanager
def _reaching(url: str) -> Iterator[None]:
    """Every backend of fsspec has errors of its own: whatever goes wrong in the block is the archive out of reach."""
    try:
        yield
    except Exception as error:
        said = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise ArchiveUnreachable(f"the archive {url} cannot be used: {said}") from error
