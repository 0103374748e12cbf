"""What readers outside must not see, and secrets, which nobody must."""

import pytest

from pipeline.decide.guard import examine, mend
from tests.decide.guard.saying import rules, said

LEAKS = {
    "internal-name": [
        "Writes to db-7 fail.",
        "prod-eu-db-01 is down.",
        "web01 does not answer.",
        "kafka-broker-3 lags behind.",
        "orders.prod.internal is unreachable.",
        "See http://grafana/d/abc for the graph.",
        "See https://grafana.example.com/d/abc for the graph.",
        "10.20.30.40 does not answer.",
        "192.168.1.20:5432 refuses connections.",
        "fd12:3456:789a::1 does not answer.",
        "ip-10-0-1-2 was replaced.",
        "payments-7d9f8b6c5d-x2x4z restarts.",
        "mydb.abc123.eu-west-1.rds.amazonaws.com is full.",
    ],
    "ticket": ["See PROD-1234.", "Tracked in INC0012345."],
    "file-path": ["/var/log/app/error.log is full.", r"C:\Windows\System32\drivers is gone."],
    "stack-trace": [
        "It prints java.lang.NullPointerException: null.",
        "at com.example.Orders.place(Orders.java:42)",
        'Traceback (most recent call last):\n  File "app.py", line 3, in main\nKeyError',
        "The crash is in handlers/orders.py:88.",
    ],
}
HARMLESS = [
    "Codespaces in us-east-1 and West US 2 are slow.",
    "Ubuntu-22 and windows-2022 runners wait.",
    "See https://status.example.com/incidents/abc for more.",
    "For example 10.1.2.3 is rejected.",
    "Version 10.4.2 of the app is affected.",
    "Requests fail with UTF-8 names, SHA-256 sums and CVE-2024-1234.",
    "The /pulls and /search pages are slow.",
    "node20 and Python 3.11 builds fail.",
    "About 5xx of them, i.e. 500 errors.",
    "Call 0800 123456 or write to help@example.com.",
    "Between 10:20 and 12:30 UTC, 3.5% of logins failed.",
    "GPT-4 and COVID-19 are not tickets.",
]
SECRETS = [
    "AKIAIOSFODNN7EXAMPLE",
    "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8",
    "github_pat_11ABCDEFG0abcdefghij_klmnop",
    "glpat-abcdefghij0123456789",
    "xoxb-123456789012-abcdefghijkl",
    "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc",
    "AIza" + "SyA1234567890abcdefghijklmnopqrstuv",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc_def",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEabc\n-----END RSA PRIVATE KEY-----",
    "postgres://app:hunter2@db.example.com/orders",
    "password=hunter2",
    "Passwort: Winter2024",
    "api_key = 0123456789abcdef",
    "Authorization: Bearer abcdef0123456789abcdef",
    "AccountKey=abcdefghijklmnop0123456789==",
]
NO_SECRETS = [
    "Password: reset is not possible at the moment.",
    "The password is required twice.",
    "Token refresh fails for some users.",
    "API key creation is unavailable.",
    "Basic authentication is deprecated; use bearer tokens.",
    "Secret scanning: alerts are delayed.",
    "See https://example.com/a:b@c for it.",
    "mailto:help@example.com",
    "The commit 0a1b2c3d4e5f67890a1b2c3d4e5f67890a1b2c3d was reverted.",
    "sk-learn-based-recommendations are slow today.",
    "-----BEGIN CERTIFICATE----- is what it prints.",
]


@pytest.mark.parametrize(("rule", "text"), [(rule, text) for rule, texts in LEAKS.items() for text in texts])
def test_what_only_insiders_may_read_is_found_and_taken_out(rule, text):
    message = said(text)
    assert rule in rules(message)
    mended = mend(message.texts, examine(message), "en")
    assert rule not in rules(said(texts=mended))


@pytest.mark.parametrize("text", HARMLESS)
def test_what_everyone_may_read_is_left_alone(text):
    assert not rules(said(text)) & LEAKS.keys()


def test_insiders_may_read_host_names():
    assert not rules(said("db-7 is down, see PROD-1234 and /var/log/db.log.", outside=False)) & LEAKS.keys()


def test_the_policys_own_words_are_internal_names_too():
    text = "Mercury and app.shop.example.org are down, mercurial is not."
    own = ("mercury", ".shop.example.org")
    message = said(text, own_words=own)
    assert {"mercury", ".shop.example.org"} <= {found.words for found in examine(message)}
    assert mend(message.texts, examine(message), "en") == {
        "summary": "an internal system and an internal system are down, mercurial is not."
    }


@pytest.mark.parametrize("outside", [True, False])
@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_is_found_for_every_reader_and_never_repeated(secret, outside):
    message = said(f"It works with {secret} again.", outside=outside)
    (found,) = (one for one in examine(message) if one.rule == "secret")
    assert secret not in found.words
    assert found.words.endswith("…")
    for language, word in (("en", "[removed]"), ("de", "[entfernt]")):
        text = mend(message.texts, [found], language)["summary"]
        assert word in text
        assert secret not in text


@pytest.mark.parametrize("text", NO_SECRETS)
def test_what_only_looks_like_a_secret_is_left_alone(text):
    assert "secret" not in rules(said(text))


def test_a_secret_in_the_notes_of_insiders_is_found_as_well():
    assert "secret" in rules(said(texts={"internal_notes": "password=hunter2"}, outside=False))


def test_no_other_rule_repeats_a_secret():
    text = "Probably due to password=hunter2 at our provider; it should be fixed with api_key=hunter2 by 14:00."
    message = said(text, before={"summary": text})
    found = examine(message)
    assert {"blame", "guess", "promised-end", "same-text"} <= {one.rule for one in found}
    assert all("hunter2" not in one.words for one in found)
