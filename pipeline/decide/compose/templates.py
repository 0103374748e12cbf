"""The templates of a policy: structure that all languages share, and each language's own phrases.

A template of a language's own (`de/sms.txt.j2`) is taken in place of the shared one.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from jinja2 import Template
from jinja2.sandbox import SandboxedEnvironment

from pipeline.decide.compose.moments import Tongue, tongue
from pipeline.errors import PolicyError
from pipeline.policy import Policy

PHRASES = "phrases.j2"


def evaluated(name: str, language: str, context: dict[str, Any], policy: Policy) -> dict[str, Any]:
    """What a template sets, by name: plain texts, since only `*.html.j2` escapes. Raises `PolicyError`."""
    made: Any = _guarded(name, language, policy, lambda template: template.make_module(context))
    return {key: value for key, value in vars(made).items() if not key.startswith("_")}


def rendered(name: str, language: str, context: dict[str, Any], policy: Policy) -> str:
    """What a template writes. Raises `PolicyError`."""
    return str(_guarded(name, language, policy, lambda template: template.render(context)))


def phrases(language: str, policy: Policy) -> Any:
    """The words of a language, as they stand in its `phrases.j2`. Raises `PolicyError`."""
    return _guarded(PHRASES, language, policy, lambda template: template.module)


def tongue_of(language: str, policy: Policy) -> Tongue:
    """How a language writes moments under this policy. Raises `PolicyError`."""
    patterns: dict[str, str] = phrases(language, policy).times
    return tongue(language, tuple(patterns.items()), tuple(policy.languages.clocks.items()))


def _guarded(name: str, language: str, policy: Policy, use: Callable[[Template], Any]) -> Any:
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
