"""What holds for every request: limits, headers, logs."""

import asyncio
import base64
import hashlib
import json
import logging
import re

import pytest

from pipeline.settings import Settings
from pipeline.web import logs
from pipeline.web.shield import MAX_BODY_BYTES
from schemas.base import Channel
from tests.web.conftest import Service


async def test_every_answer_forbids_what_is_not_needed(service: Service) -> None:
    for path in ("/health", "/nowhere", f"/u/{service.vault.link_token('anna', Channel.EMAIL, 'unsubscribe')}"):
        async with service.client.get(service.url + path) as answer:
            headers = answer.headers
            assert headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'sha256-")
            assert "unsafe" not in headers["Content-Security-Policy"]
            assert headers["Referrer-Policy"] == "no-referrer"
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Cache-Control"] == "no-store"
            assert "Strict-Transport-Security" in headers
            assert "Server" not in headers
            assert "Set-Cookie" not in headers


async def test_the_policy_allows_the_pages_own_style_and_nothing_else(service: Service) -> None:
    token = service.vault.link_token("anna", Channel.EMAIL, "unsubscribe")
    async with service.client.get(f"{service.url}/u/{token}") as answer:
        page = await answer.text()
    [style] = re.findall(r"<style>(.*?)</style>", page, re.S)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in answer.headers["Content-Security-Policy"]
    assert "<script" not in page
    assert "style=" not in page
    assert token not in page


@pytest.mark.parametrize("path", ["/u/x", "/twilio/status", "/twilio/inbound", "/nowhere"])
async def test_a_large_body_is_refused_before_anything_reads_it(service: Service, path: str) -> None:
    async with service.client.post(service.url + path, data=b"a" * (MAX_BODY_BYTES + 1)) as answer:
        assert answer.status == 413


async def test_a_large_body_in_chunks_is_refused_as_well(service: Service) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(service.url.rpartition(":")[2]))
    writer.write(b"POST /twilio/inbound HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(5):
        writer.write(b"4000\r\n" + b"a" * 0x4000 + b"\r\n")
    assert b" 413 " in await reader.readline()
    writer.close()


async def test_other_methods_are_not_served(service: Service) -> None:
    for method in ("PUT", "DELETE", "PATCH"):
        async with service.client.request(method, f"{service.url}/u/x") as answer:
            assert answer.status == 405


async def test_the_log_names_the_route_and_never_a_token(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    token = service.vault.link_token("anna", Channel.EMAIL, "unsubscribe")
    callback = service.vault.callback_token("i1", 0)
    with caplog.at_level(logging.DEBUG):
        await service.client.get(f"{service.url}/u/{token}")
        await service.client.post(f"{service.url}/u/{token}", data={"List-Unsubscribe": "One-Click"})
        await service.as_twilio(f"/twilio/status?d={callback}", {"MessageSid": "SM1", "MessageStatus": "sent"})
        await service.client.get(f"{service.url}/u/{token}/more")
    served = [r for r in caplog.records if r.name != "aiohttp.client"]
    shown = "\n".join(logs.JsonLines().format(record) for record in served)
    assert "/u/{token}" in shown
    assert "/twilio/status" in shown
    assert token not in shown
    assert callback not in shown


def test_a_log_record_is_one_line_whatever_stands_in_it() -> None:
    hostile = 'x\n{"level": "info"}\r\n\u2028'
    record = logging.LogRecord("tocsin.web", logging.INFO, "", 0, "%s", (hostile,), None)
    line = logs.JsonLines().format(record)
    assert len(line.splitlines()) == 1
    assert json.loads(line)["message"] == hostile


def test_settings_never_show_the_auth_token() -> None:
    settings = Settings(_env_file=None, twilio_auth_token="topsecret")  # type: ignore[arg-type]
    assert "topsecret" not in repr(settings)
