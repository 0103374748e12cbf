"""No fault of the matrix is without a test that injects it."""

from pathlib import Path

import pytest

from tests.chaos.matrix import MATRIX


def test_every_fault_has_its_number() -> None:
    assert list(MATRIX) == list(range(1, 28))


@pytest.mark.parametrize("number", MATRIX)
def test_every_fault_is_injected_by_tests_that_exist(number: int) -> None:
    says, tests = MATRIX[number]
    assert says
    assert tests
    for test in tests:
        file, _, name = test.partition("::")
        assert f"def {name}(" in (Path(__file__).parent / file).read_text(), test
