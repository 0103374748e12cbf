"""Addresses that are URLs: what may stand as one, and that no reason repeats it."""

import pytest

from pipeline.addresses import BadAddress, clean, clean_webhook_secret, comparable
from pipeline.registrations import Refused, registration
from schemas.base import Channel

SECRET = "whsec_" + "c2l4IHRpbWVzIG5pbmUgaXMgZm9ydHkgdHdv"
HOOK, PUSH = Channel.WEBHOOK, Channel.APPRISE


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://Hooks.Example.com/Team?a=B", "https://hooks.example.com/Team?a=B"),
        (" https://example.com:8443/x ", "https://example.com:8443/x"),
        ("http://127.0.0.1:9000/x", "http://127.0.0.1:9000/x"),
        ("http://localhost/x", "http://localhost/x"),
        ("http://[::1]:9/x", "http://[::1]:9/x"),
    ],
)
def test_a_webhooks_url_keeps_its_path_as_it_is(given: str, kept: str) -> None:
    assert clean(HOOK, given) == kept


@pytest.mark.parametrize(
    "given",
    [
        "", "example.com", "http://example.com/x", "ftp://example.com", "https://", "https://:443/x",
        "https://user:s3cret@example.com/", "https://example.com/#s3cret", "https://example.com:99999/",
        "https://exa mple.com/", "https://example.com/\r\nX: y", "https://münchen.example/", "https://[::1",
        "https://example.com/" + "s3cret" * 400, "file:///etc/passwd",
    ],
)  # fmt: skip
def test_what_is_no_webhooks_url_is_refused_and_not_repeated(given: str) -> None:
    with pytest.raises(BadAddress) as refused:
        clean(HOOK, given)
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize("given", ["", "s3cret", "whsec_", "whsec_c2hvcnQ=", "whsec_!!!!", SECRET[6:], SECRET + "=x"])
def test_a_secret_is_as_the_specification_writes_it(given: str) -> None:
    with pytest.raises(BadAddress, match="openssl rand"):
        clean_webhook_secret(given)
    assert clean_webhook_secret(f" {SECRET} ") == SECRET


@pytest.mark.parametrize("given", ["ntfys://topic", "slack://a/b/c", "tgram://token/chat", "mailto://u:p@example.com"])
def test_a_service_is_kept_as_it_is(given: str) -> None:
    assert clean(PUSH, given) == given


@pytest.mark.parametrize(
    "given", ["topic", "://x", "dbus://", "SYSLOG://x", "json://10.0.0.1/x", "forms://h/x", "a://b c"]
)
def test_a_service_that_acts_here_or_anywhere_is_refused(given: str) -> None:
    with pytest.raises(BadAddress):
        clean(PUSH, given)


def test_two_paths_that_differ_in_case_are_two_webhooks() -> None:
    assert comparable(HOOK, "https://example.com/A") != comparable(HOOK, "https://example.com/a")
    assert comparable(HOOK, "https://EXAMPLE.com/a") == comparable(HOOK, "https://example.com/a")


def test_a_subscriber_has_a_webhook_with_its_secret_or_none() -> None:
    row = registration({"audiences": ["customers"], "webhook_url": "https://example.com/x", "webhook_secret": SECRET})
    assert row.choices.channels == (HOOK,)
    assert (row.contact.address(HOOK), row.contact.secret(HOOK)) == ("https://example.com/x", SECRET)
    assert row.contact.secret(Channel.EMAIL) is None
    with pytest.raises(Refused, match="webhook_secret"):
        registration({"audiences": ["customers"], "webhook_url": "https://example.com/x"})


def test_a_subscriber_may_have_a_service() -> None:
    row = registration({"audiences": ["customers"], "apprise_url": "ntfys://topic", "email": "a@example.com"})
    assert row.choices.channels == (Channel.EMAIL, PUSH)
    assert "ntfys" not in repr(row.contact)
