"""The figure of the whole way, small, on Apache Kafka: what it writes down is whole. How fast it was is not asked."""

import json
import os
from pathlib import Path

import pytest

from pipeline.bench import pipeline as whole_way
from pipeline.bench.figures import measured, merge
from pipeline.broker.kafka import fetch_jars, java
from pipeline.errors import TocsinError

pytestmark = pytest.mark.kafka

KAFKA = "Apache Kafka"


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        java()
        fetch_jars()
        whole_way.tool("smtp-sink", "postfix")
    except TocsinError as error:
        pytest.skip(str(error))
    monkeypatch.setitem(whole_way.RECIPIENTS, KAFKA, 2_000)


def test_the_whole_way_is_measured_on_apache_kafka(tmp_path: Path) -> None:
    (found,) = measured("pipeline", 1)
    merge(tmp_path / "bench.json", found)
    entry = json.loads((tmp_path / "bench.json").read_text())["pipeline"]
    assert entry["unit"] == "mails/s"
    workers = str(min(2, os.cpu_count() or 1))
    assert entry["versions"] == {"broker": KAFKA, "recipients": "2,000", "deliver_workers": workers}
    assert entry["peers"].keys() == entry["ratios"].keys() == {"email_engine", "aiosmtplib"}
    assert entry["ours"] > 0
    for name, theirs in entry["peers"].items():
        assert entry["ratios"][name] == pytest.approx(entry["ours"] / theirs, abs=0.001)
