"""A provider's own API description as JSON Schema validators."""

import json
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from tests.paths import SPECS


def _nullable(node: Any) -> Any:
    """OpenAPI 3.0 says `nullable: true` where JSON Schema says `type: [..., "null"]`."""
    if isinstance(node, list):
        return [_nullable(item) for item in node]
    if not isinstance(node, dict):
        return node
    node = {key: _nullable(value) for key, value in node.items()}
    if node.pop("nullable", False) and "type" in node:
        node["type"] = [node["type"], "null"]
        if "enum" in node:
            node["enum"] = [*node["enum"], None]
    return node


@cache
def spec(name: str) -> dict[str, Any]:
    """The whole description."""
    whole: dict[str, Any] = json.loads((SPECS / name).read_text())
    return whole


def check(name: str, schema: dict[str, Any], instance: Any) -> None:
    """Raises jsonschema.ValidationError, with the place. Refuses what no schema can refuse: an empty schema."""
    assert schema
    whole = {**_nullable(schema), "components": _nullable(spec(name)["components"])}
    Draft202012Validator(whole).validate(instance)
