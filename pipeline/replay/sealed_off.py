"""A process that replays is sealed off: it knows no provider, and whatever could send cannot even be imported.

Three walls, each of which would do: the import contracts (pyproject.toml), the settings without a provider in them, and
a barrier before the modules that send. Into a sandbox it is different: there the real channels run, with settings that
only a running sandbox makes (`pipeline.replay.into_sandbox`), and nothing else of the environment in them.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from types import ModuleType

from pipeline.settings import Settings

OURS = frozenset({"secret", "broker_sasl_password", "database_url"})
"""Secrets that lead to no provider."""
PROVIDERS = frozenset(
    name
    for name, field in Settings.model_fields.items()
    if name.startswith(("smtp_", "dkim_", "imap_", "twilio_", "x_", "webhook", "apprise"))
    or ("SecretStr" in str(field.annotation) and name not in OURS)
)
"""The settings that name a provider, or open one."""
SENDING = ("pipeline.channels", "aiosmtplib", "twilio", "tweepy", "apprise")


class ReplaySendsNothing(ImportError):
    """Something that sends was asked for in a process that replays."""


def sealed_settings() -> Settings:
    """The settings of this process, without any provider."""
    defaults = {name: Settings.model_fields[name].get_default(call_default_factory=True) for name in PROVIDERS}
    return Settings().model_copy(update=defaults)


@contextmanager
def sealed_off() -> Iterator[None]:
    """For the length of the block nothing that sends can be imported, and the environment names no provider."""
    barrier, environment = _Barrier(), _environment()
    for name in environment:
        del os.environ[name]
    loaded = {name: sys.modules.pop(name) for name in list(sys.modules) if _sends(name)}
    sys.meta_path.insert(0, barrier)
    try:
        yield
    finally:
        sys.meta_path.remove(barrier)
        sys.modules.update(loaded)
        os.environ.update(environment)


def _environment() -> dict[str, str]:
    named = {f"TOCSIN_{name.upper()}" for name in PROVIDERS}
    return {name: value for name, value in os.environ.items() if name.upper() in named}


def _sends(name: str) -> bool:
    return name.startswith(tuple(f"{module}." for module in SENDING)) or name in SENDING


class _Barrier:
    """Stands before every other way of finding a module."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Finds nothing, and lets nothing that sends be found."""
        if _sends(name):
            raise ReplaySendsNothing(f"{name} sends: a process that replays has no sender, and gets none")
        return None
