"""Policy folders to try things in."""

import shutil
from pathlib import Path

from pipeline.policy import SHIPPED

NAMES = ("small-saas", "enterprise", "regulated")
DEFAULT = SHIPPED / "small-saas"


def copied(to: Path, name: str = "small-saas") -> Path:
    """A policy that ships, to be changed."""
    return Path(shutil.copytree(SHIPPED / name, to / "mine"))


def replace(directory: Path, document: str, old: str, new: str) -> None:
    """Changes the first place where `old` stands."""
    path = directory / document
    text = path.read_text("utf-8")
    assert old in text, f"{document} has no {old!r}"
    path.write_text(text.replace(old, new, 1), "utf-8")


def line_with(directory: Path, document: str, text: str) -> int:
    """The first line, from 1, in which `text` stands outside of a comment."""
    lines = (directory / document).read_text("utf-8").splitlines(keepends=True)
    return next(number for number, line in enumerate(lines, 1) if text in line and not line.lstrip().startswith("#"))
