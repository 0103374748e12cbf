"""The sandbox, for all tests of channels."""

from tests.sandbox_fixture import sandbox  # noqa: F401 - a fixture is found by its name
