import asyncio
from pathlib import Path

import aiohttp
import aiosmtplib
import pytest

from pipeline.sandbox import Mail, Sandbox, read_truth
from pipeline.sandbox.truth import Truth, mail_fields
from pipeline.settings import Settings
from tests.sandbox.conftest import HandClock
from tests.sandbox.test_smtp import send


def keep_mail(truth: Truth, raw: bytes = b"Subject: x\r\n\r\nhello \xff\r\n") -> Mail:
    return truth.keep(Mail, sender="a@b.c", recipients=("d@e.f",), tls=False, answered=True, **mail_fields(raw))


async def test_the_file_holds_the_same_records_byte_for_byte(tmp_path: Path) -> None:
    async with Sandbox(tmp_path) as sandbox:
        await send(sandbox)
        sandbox.fault("smtp", "lose_after_dot")
        with pytest.raises(aiosmtplib.SMTPServerDisconnected):
            await send(sandbox)
        # Still open: another process must be able to read along.
        assert read_truth(tmp_path) == sandbox.truth.records
    assert [record.kind for record in read_truth(tmp_path)] == ["mail", "fault", "mail"]


async def test_a_restarted_sandbox_goes_on_where_the_earlier_one_ended(tmp_path: Path) -> None:
    async with Sandbox(tmp_path) as first:
        await send(first)
    async with Sandbox(tmp_path) as second:
        await send(second)
        assert [mail.n for mail in second.mails] == [1, 2]


def test_half_a_line_left_by_a_kill_is_cut_away(tmp_path: Path, clock: HandClock) -> None:
    keep_mail(Truth(clock, tmp_path))
    with (tmp_path / "truth.jsonl").open("ab") as file:
        file.write(b'{"n": 2, "kind": "ma')
    again = Truth(clock, tmp_path)
    keep_mail(again)
    assert [record.n for record in read_truth(tmp_path)] == [1, 2]


async def test_truth_over_http_gives_what_is_newer_and_waits_for_it(
    sandbox: Sandbox, http: aiohttp.ClientSession
) -> None:
    url = f"{sandbox.inbox_url}truth.json"
    await send(sandbox)
    async with http.get(url) as response:
        first = await response.json()
    assert first["last"] == 1
    assert Mail.model_validate(first["records"][0]) == sandbox.mails[0]
    waiting = asyncio.create_task(http.get(url, params={"since": "1", "wait": "10"}))
    await send(sandbox, "bob@example.com")
    async with await waiting as response:
        assert [record["recipients"] for record in (await response.json())["records"]] == [["bob@example.com"]]


async def test_waiting_for_what_never_comes_says_what_came(sandbox: Sandbox) -> None:
    with pytest.raises(TimeoutError, match="0 mails, 0 texts, 0 posts"):
        await sandbox.wait_for(lambda: sandbox.posts, 0.01)


async def test_faults_are_armed_counted_and_cleared_over_http(sandbox: Sandbox, http: aiohttp.ClientSession) -> None:
    url = f"{sandbox.inbox_url}faults"
    fault = {"service": "smtp", "kind": "refuse", "stage": "rcpt", "code": 550, "times": None}
    async with http.post(url, json=[fault, {"service": "x", "kind": "html"}]) as response:
        assert response.status == 201
    with pytest.raises(aiosmtplib.SMTPRecipientsRefused):
        await send(sandbox)
    async with http.get(url) as response:
        state = (await response.json())["faults"]
    assert [(armed["fired"], armed["left"]) for armed in state] == [(1, None), (0, 1)]
    async with http.delete(url) as response:
        assert response.status == 204
    await send(sandbox)
    assert len(sandbox.mails) == 1


@pytest.mark.parametrize(
    ("fault", "complaint"),
    [
        ({"service": "smtp", "kind": "explode"}, "smtp cannot fail by 'explode'; it can by refuse"),
        ({"service": "smtp", "kind": "refuse", "stage": "rcpt"}, "needs a code"),
        ({"service": "smtp", "kind": "refuse", "code": 550}, "needs a stage"),
        ({"service": "smtp", "kind": "slow"}, "needs seconds"),
        ({"service": "twilio", "kind": "reset", "tmies": 2}, "tmies"),
    ],
)
async def test_a_senseless_fault_is_refused_with_the_reason(
    sandbox: Sandbox, http: aiohttp.ClientSession, fault: dict[str, object], complaint: str
) -> None:
    async with http.post(f"{sandbox.inbox_url}faults", json=fault) as response:
        assert response.status == 422
        assert complaint in (await response.json())["error"]


async def test_the_settings_read_the_environment_it_gives(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in sandbox.settings_env().items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    assert settings.sandbox
    assert settings.smtp_url is not None
    assert settings.smtp_url.get_secret_value() == sandbox.smtp_url
    assert settings.twilio_base_url == settings.x_base_url == sandbox.x_url
    assert settings.x_access_token_secret is not None
