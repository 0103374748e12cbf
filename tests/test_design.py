"""What the design says of tests and files must be so."""

import re

import pytest

from tests.paths import REPOSITORY

DESIGN = (REPOSITORY / "pipeline" / "DESIGN.md").read_text(encoding="utf-8")
TESTS = "\n".join(path.read_text(encoding="utf-8") for path in (REPOSITORY / "tests").rglob("test_*.py"))


@pytest.mark.parametrize("name", sorted(set(re.findall(r"`…?(test_\w+)", DESIGN))))
def test_every_test_that_is_named_exists(name: str) -> None:
    """A name that ends in … names the beginning of one."""
    assert f"def {name}" in TESTS


@pytest.mark.parametrize(
    "path", sorted(set(re.findall(r"`((?:pipeline|agents|schemas|tests|deploy)/[\w./-]*)`", DESIGN)))
)
def test_every_path_that_is_named_exists(path: str) -> None:
    assert (REPOSITORY / path).exists()
