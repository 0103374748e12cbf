"""What holds for all channels."""

import pytest

from pipeline.channels import build_senders
from pipeline.channels.base import MAX_DETAIL, redacted
from pipeline.errors import ConfigurationError
from pipeline.sandbox import Sandbox
from pipeline.settings import Settings
from schemas.base import Channel, Level
from schemas.delivery import Result
from schemas.rendering import rendering_of
from tests.channels.samples import ACCOUNT, EMAIL, POST, SMS, envelope, phone, reader
from tests.conftest import MakeSettings


def callback_url(intent_id: str, partition: int) -> str:
    return f"http://127.0.0.1:9/{intent_id}/{partition}"


async def test_the_sandboxs_environment_sets_up_all_three_and_each_tells_its_recipient(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in sandbox.settings_env().items():
        monkeypatch.setenv(name, value)
    senders = build_senders(Settings(_env_file=None), callback_url)
    assert {channel: sender.max_window for channel, sender in senders.items()} == {
        Channel.EMAIL: 64,
        Channel.SMS: 1,
        Channel.X: 1,
    }
    for content, recipient in ((EMAIL, reader()), (SMS, phone()), (POST, ACCOUNT)):
        sender = senders[rendering_of("en", Level.CUSTOMER, content).content.channel]
        (answer,) = await sender.send(envelope(content), [recipient])
        assert answer.result is Result.ACCEPTED
        await sender.close()
    assert (len(sandbox.mails), len(sandbox.texts), len(sandbox.posts)) == (1, 1, 1)


def test_a_channel_without_settings_is_absent(make_settings: MakeSettings) -> None:
    assert build_senders(make_settings(), callback_url) == {}


def test_a_channel_that_is_set_up_by_half_stops_the_start(make_settings: MakeSettings) -> None:
    with pytest.raises(ConfigurationError, match="TOCSIN_TWILIO_AUTH_TOKEN"):
        build_senders(make_settings(twilio_account_sid="AC1"), callback_url)


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("<ada@example.com>: no such user", "<<address>>: no such user"),
        ("The 'To' number +1 (500) 555-0100 is not valid", "The 'To' number <number> is not valid"),
        ("two\r\nlines\x00and\ttabs", "two lines and tabs"),
        ("Ada Lovelace is away", "<redacted> is away"),
        ("queued as 4F00Z 250 2.0.0", "queued as 4F00Z 250 2.0.0"),
        ("", None),
    ],
)
def test_details_are_one_line_without_what_is_personal(said: str, kept: str | None) -> None:
    assert redacted(said, "Ada Lovelace", None) == kept


def test_details_are_bounded() -> None:
    assert len(redacted("x y " * 1000) or "") == MAX_DETAIL
