"""The exported schemas: current, true to the models, and whole."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from pydantic import TypeAdapter
from typer.testing import CliRunner

from pipeline.commands.schema import HOME, app
from schemas import codec, export, topics
from schemas.base import Id, Level
from schemas.incident import EVENTS, For
from tests.schemas.records import INPUTS, SAMPLES, data_of, record, sample, topic_of


def schema(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((HOME / "json" / f"{name}.json").read_text("utf-8"))
    return found


def document() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((HOME / "asyncapi.yaml").read_text("utf-8"))
    return found


def test_the_exported_files_are_current() -> None:
    result = CliRunner().invoke(app, ["export", "--check"])
    assert result.exit_code == 0, f"run `tocsin schema export`:\n{result.output}"


def test_check_names_what_is_missing_stale_or_too_much(tmp_path: Path) -> None:
    runner = CliRunner()
    runner.invoke(app, ["export", "--to", str(tmp_path)])
    assert runner.invoke(app, ["export", "--check", "--to", str(tmp_path)]).exit_code == 0
    (tmp_path / "asyncapi.yaml").write_text("stale")
    (tmp_path / "json" / "io.tocsin.gone.v1.json").write_text("{}")
    (tmp_path / "json" / "io.tocsin.notices.v1.json").unlink()
    result = runner.invoke(app, ["export", "--check", "--to", str(tmp_path)])
    assert result.exit_code == 1
    for name in ("asyncapi.yaml", "io.tocsin.gone.v1.json", "io.tocsin.notices.v1.json"):
        assert name in result.output
    assert runner.invoke(app, ["export", "--to", str(tmp_path)]).exit_code == 0
    assert runner.invoke(app, ["export", "--check", "--to", str(tmp_path)]).exit_code == 0


@pytest.mark.parametrize("name", codec.TYPES)
def test_every_schema_is_a_json_schema(name: str) -> None:
    found = schema(name)
    assert found["$schema"] == export.DIALECT
    jsonschema.Draft202012Validator.check_schema(found)


def test_every_type_has_a_sample_and_no_sample_is_left_over() -> None:
    assert {path.stem for path in SAMPLES.glob("*.json")} == set(codec.TYPES)


@pytest.mark.parametrize("name", codec.TYPES)
def test_every_sample_is_valid_by_model_and_by_schema(name: str) -> None:
    data = data_of(name)
    model = codec.TYPES[name].model_validate_json(json.dumps(data))
    assert json.loads(model.model_dump_json(exclude_none=True)) == data, "not as we would write it"
    jsonschema.Draft202012Validator(schema(name)).validate(data)
    found = sample(name)
    attributes = found if name in INPUTS else found["attributes"]
    assert attributes["type"] == name
    assert {"id", "source", "subject", "specversion"} <= attributes.keys()
    if name in INPUTS:
        decoded = codec.decode_input(record(json.dumps(found).encode(), topic=topic_of(name).name))
        assert decoded.data == model


@pytest.mark.parametrize("name", codec.TYPES)
def test_no_sample_is_valid_with_an_unknown_field(name: str) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema(name)).validate({**data_of(name), "mistyped": 1})


def test_every_field_of_an_incident_event_says_who_may_see_it() -> None:
    for model in EVENTS:
        properties = schema(model.TYPE)["properties"]
        for name, field in model.model_fields.items():
            marks = [mark for mark in field.metadata if isinstance(mark, For)]
            assert len(marks) == 1, f"{model.__name__}.{name}"
            assert set(properties[name]["x-audience"]) == {level.value for level in marks[0].levels}
            assert properties[name].get("x-approval") == marks[0].approval
    opened = schema("io.tocsin.incident.opened.v1")
    assert opened["properties"]["internal_notes"]["x-audience"] == [Level.INTERNAL]
    assert opened["properties"]["ownership"]["x-approval"] == "legal"
    assert len(opened["$defs"]["Consequences"]["properties"]["now"]["x-audience"]) == len(Level)


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        for name, value in part.items():
            if name == "$ref":
                yield value
            else:
                yield from references(value)
    elif isinstance(part, list):
        for value in part:
            yield from references(value)


def test_every_reference_of_the_asyncapi_document_resolves() -> None:
    whole = document()
    found = list(references(whole))
    assert len(found) > 100
    for reference in found:
        file, _, pointer = reference.partition("#")
        if file:
            assert (HOME / file).is_file(), reference
            continue
        part: Any = whole
        for step in pointer.strip("/").split("/"):
            part = part[step]


def test_the_asyncapi_document_tells_every_topic_as_it_is_declared() -> None:
    whole = document()
    assert whole["asyncapi"] == "3.0.0"
    assert {channel["address"] for channel in whole["channels"].values()} == set(topics.BY_NAME)
    for topic in topics.ALL:
        channel = whole["channels"][topic.name.replace(".", "_")]
        kafka = channel["bindings"]["kafka"]
        assert topic.description in channel["description"]
        assert topic.key in channel["description"]
        assert kafka["partitions"] == (topic.partitions or topics.DEFAULT_PARTITIONS)
        said = {
            name: value[0] if isinstance(value, list) else str(value)
            for name, value in kafka["topicConfiguration"].items()
        }
        assert said.items() <= topic.config().items()
        types = {ref["$ref"].rpartition("/")[2].replace("_", ".") for ref in channel["messages"].values()}
        assert types == {model.TYPE.replace("_", ".") for model in topic.holds}  # type: ignore[attr-defined]
        for action, rooms in (("send", topic.written_by), ("receive", topic.read_by)):
            there = {
                operation["tags"][0]["name"]
                for operation in whole["operations"].values()
                if operation["action"] == action
                and operation["channel"]["$ref"] == f"#/channels/{topic.name.replace('.', '_')}"
            }
            assert there == set(rooms)


def test_no_schema_names_this_machine_or_hides_a_discriminator() -> None:
    for path, text in export.files().items():
        assert "discriminator" not in text, path  # of another shape in AsyncAPI
        assert not re.search(r"/(home|work|root|tmp)/", text), path


def test_an_id_is_the_same_by_model_and_by_function() -> None:
    from schemas.base import is_id

    adapter = TypeAdapter(Id)
    for text in ("a", "A-1.b:c_d", "x" * 100, "", "-a", "x" * 101, "a b", "a\n", "ä", "a/b", "\ud800"):
        try:
            adapter.validate_python(text)
            valid = True
        except ValueError:
            valid = False
        assert is_id(text) == valid, repr(text)
