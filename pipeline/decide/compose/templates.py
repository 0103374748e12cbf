"""The templates of a policy: structure that all languages share, and each language's own phrases.

A template of a language's own (`de/sms.txt.j2`) is taken in place of the shared one.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, TypeVar

from jinja2 import Template
from jinja2.sandbox import SandboxedEnvironment

from pipeline.decide.compose.moments import Tongue, tongue
from pipeline.errors import PolicyError
from pipeline.policy import Policy

T = TypeVar("T")
PHRASES = "phrases.j2"


def evaluated(
    name: str, language: str, context: Mapping[str, Any], policy: Policy, read: Callable[[dict[str, Any]], T]
) -> T:
    """What `read` makes of what a template sets: plain texts, since only `*.html.j2` escapes. Raises `PolicyError`."""

    def use(template: Template) -> T:
        made: Any = template.make_module(dict(context))
        return read({key: value for key, value in vars(made).items() if not key.startswith("_")})

    return _guarded(name, language, policy, use)


def rendered(name: str, language: str, context: Mapping[str, Any], policy: Policy) -> str:
    """What a template writes. Raises `PolicyError`."""
    return _guarded(name, language, policy, lambda template: template.render(context))


def phrase(language: str, policy: Policy, read: Callable[[Any], T]) -> T:
    """What `read` makes of the words of a language, as they stand in its `phrases.j2`. Raises `PolicyError`."""
    return _guarded(PHRASES, language, policy, lambda template: read(template.module))


def tongue_of(language: str, policy: Policy) -> Tongue:
    """How a language writes moments under this policy. Raises `PolicyError`."""
    clocks = tuple(policy.languages.clocks.items())
    return phrase(language, policy, lambda say: tongue(language, tuple(say.times.items()), clocks))


def _guarded(name: str, language: str, policy: Policy, use: Callable[[Template], T]) -> T:
    try:
        return use(_template(policy.templates, language, name))
    except Exception as error:  # a template can raise whatever the objects it touches raise
        path = _path(policy.templates, language, name)
        raise PolicyError(f"templates/{path}: {type(error).__name__}: {error}") from error


@lru_cache(maxsize=1024)
def _template(environment: SandboxedEnvironment, language: str, name: str) -> Template:
    return environment.get_template(_path(environment, language, name))


def _path(environment: SandboxedEnvironment, language: str, name: str) -> str:
    own = f"{language}/{name}"
    return own if name == PHRASES or own in environment.list_templates() else name
