"""What Prometheus is told: the figures, and nobody's name."""

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from pipeline.audit.checkpoint import cosigned_path
from pipeline.errors import ConfigurationError
from pipeline.honesty.serving import serving
from pipeline.replay.measure import measured, promises_in
from tests.audit.logs import SEEN_AT, witness_follows
from tests.conftest import MakeSettings
from tests.honesty.made import DELAY, PEOPLE, projected
from tests.projection.made import run, trial


async def three() -> int:
    return 3


async def scraped(port: int | None) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/metrics") as answer:
        return answer.status, await answer.text()


async def test_they_say_the_figures_and_name_nobody(make_settings: MakeSettings) -> None:
    settings = make_settings(metrics_port=0)
    entries = await projected(settings)
    async with serving(settings, three) as port:
        status, text = await scraped(port)
    assert status == 200
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["tocsin_log_entries",] == entries
    assert samples["tocsin_projection_behind",] == 3
    assert samples["tocsin_incidents_total", measured(run(), trial().conditions, trial().prices).severity] == 1
    unknown = samples["tocsin_messages", "email", "unknown"]
    assert samples["tocsin_messages", "email", "accepted"] == 2 * unknown
    assert samples["tocsin_unknown_attempts_total", "email"] == unknown
    kept = sum(promise.kept is True for promise in promises_in(turn.entry for turn in run().turns))
    assert sum(samples["tocsin_promises_total", by, "kept"] for by in ("cadence", "upstream")) == kept > 0
    assert samples["tocsin_first_notice_seconds_count", "customers"] == 1
    assert samples["tocsin_first_notice_seconds_sum", "customers"] >= DELAY.total_seconds()
    assert any(name == "tocsin_guard_findings_total" for name, *_ in samples)
    for word in (*PEOPLE, run().past.incident, run().past.title):
        assert word not in text


async def test_a_witness_that_falls_behind_is_among_them_where_there_is_one(make_settings: MakeSettings) -> None:
    settings = make_settings(metrics_port=0)
    await projected(settings)

    async def witness_metrics() -> dict[str, float]:
        async with serving(settings, three) as port:
            _, text = await scraped(port)
        families = text_string_to_metric_families(text)
        return {one.name: one.value for family in families for one in family.samples if "witness" in one.name}

    assert await witness_metrics() == {}
    witness_follows(settings.data_dir, seen=6)
    assert await witness_metrics() == {
        "tocsin_witness_behind": 4,
        "tocsin_witness_cosigned_timestamp_seconds": SEEN_AT.timestamp(),
    }
    cosigned_path(settings.data_dir).write_bytes(b"nothing that counts")
    assert await witness_metrics() == {"tocsin_witness_behind": 10}


async def test_a_projection_that_is_not_there_is_said_and_no_figures_made_up(make_settings: MakeSettings) -> None:
    async with serving(make_settings(metrics_port=0), three) as port:
        assert await scraped(port) == (503, "there is no projection yet\n")


async def test_without_a_port_nothing_listens(make_settings: MakeSettings) -> None:
    async with serving(make_settings(), three) as port:
        assert port is None


async def test_a_port_that_is_taken_is_named_with_its_setting(make_settings: MakeSettings) -> None:
    async with serving(make_settings(metrics_port=0), three) as port:
        with pytest.raises(ConfigurationError, match="TOCSIN_METRICS_PORT"):
            async with serving(make_settings(metrics_port=port), three):
                pass
