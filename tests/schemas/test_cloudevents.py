"""CloudEvents as others see them: the specification's JSON Schema and its Kafka conformance feature."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import jsonschema
import pytest

from schemas import codec
from schemas.base import rfc3339
from tests.paths import CORPUS, needs_corpus
from tests.schemas.records import AT, INPUTS, data_of, record, sample, topic_of

pytestmark = needs_corpus
VECTORS = CORPUS / "vectors" / "cloudevents"


def cloudevents_schema() -> jsonschema.Draft7Validator:
    checker = jsonschema.Draft7Validator.FORMAT_CHECKER
    return jsonschema.Draft7Validator(json.loads((VECTORS / "cloudevents.json").read_text()), format_checker=checker)


@pytest.mark.parametrize("name", sorted(INPUTS))
def test_the_samples_of_the_inputs_are_cloudevents(name: str) -> None:
    cloudevents_schema().validate(sample(name))


@pytest.mark.parametrize("name", sorted(codec.TYPES))
def test_what_we_write_is_a_cloudevent(name: str) -> None:
    """Binary mode, put together again as the specification's structured form."""
    data = codec.TYPES[name].model_validate(data_of(name))
    outgoing = codec.encode(topic_of(name), data, id="e1", source="/test", subject="s-1", time=AT)
    attributes = {n.removeprefix("ce_"): v.decode() for n, v in outgoing.headers if n.startswith("ce_")}
    content_type = dict(outgoing.headers)["content-type"].decode()
    cloudevents_schema().validate(
        {**attributes, "datacontenttype": content_type, "data": json.loads(outgoing.value or b"null")}
    )


@dataclass
class Scenario:
    """A scenario of the feature file: its steps in order, each with the table or text below it."""

    name: str
    steps: list[tuple[str, str, list[str]]] = field(default_factory=list)


def scenarios() -> Iterator[Scenario]:
    """The feature file as it is written: steps with their tables and texts; outlines expanded."""
    text = (VECTORS / "kafka-protocol-binding.feature").read_text()
    for block in re.split(r"\n\s*Scenario", text)[1:]:
        title, _, body = block.partition("\n")
        steps, _, examples = body.partition("Examples:")
        names, *rows = [cells(line) for line in examples.splitlines() if line.strip()] or [[], []]
        for row in rows:
            filled = steps
            for name, value in zip(names, row, strict=True):
                filled = filled.replace(f"<{name}>", value)
            yield Scenario(f"{title.partition(': ')[2]} {' '.join(row)}", list(parse_steps(filled)))


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def parse_steps(text: str) -> Iterator[tuple[str, str, list[str]]]:
    for step in re.split(r"\n\s*(?=(?:Given|And|When|Then) )", "\n" + text)[1:]:
        first, *below = step.splitlines()
        keyword, _, sentence = first.strip().partition(" ")
        yield keyword, sentence, below


def doc_string(below: list[str]) -> str:
    return "\n".join(below).split('"""')[1].strip()


def table(below: list[str]) -> dict[str, str]:
    heading, *rows = [cells(line) for line in below if line.strip()]
    assert heading == ["key", "value"]
    return dict(rows)


@pytest.mark.parametrize("scenario", list(scenarios()) if VECTORS.is_dir() else [], ids=lambda s: s.name)
def test_the_kafka_conformance_feature_holds(scenario: Scenario) -> None:
    world: dict[str, Any] = {}
    for _, sentence, below in scenario.steps:
        match sentence:
            case "a Kafka message with payload:":
                world["payload"] = doc_string(below).encode()
            case "Kafka headers:":
                world["headers"] = tuple((name, value.encode()) for name, value in table(below).items())
            case "parsed as Kafka message":
                world["parsed"] = codec.parse_cloudevent(record(world["payload"], world["headers"]))
            case "the attributes are:":
                attributes = dict(world["parsed"][0])
                assert {**attributes, "time": rfc3339(attributes["time"])} == table(below)
            case "the data is equal to the following JSON:":
                assert world["parsed"][1] == json.loads(doc_string(below))
                world["checked"] = True
            case other:
                pytest.fail(f"a step that this test does not know: {other}")
    assert world["checked"]


def test_the_whole_feature_was_read() -> None:
    assert len(list(scenarios())) == 3
