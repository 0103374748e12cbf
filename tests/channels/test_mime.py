"""Mails as bytes: each one legal, each with its own link, no header that nobody wrote."""

import json
import re
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.message import EmailMessage
from html.parser import HTMLParser

import icalendar
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.channels.mime import Identity, Refused, identity, plain, template, token_in, wire_address
from pipeline.errors import ConfigurationError
from pipeline.vault import Vault
from schemas.base import Level
from schemas.rendering import EmailContent, rendering_of
from tests.channels.samples import AT, EMAIL, LINK, intent, reader
from tests.paths import CORPUS, needs_corpus

WHO = Identity("Acme Status", "status@example.com", "example.com", "bounce@bounces.example.com")
HOSTILE_FILE = CORPUS / "vectors" / "hostile-strings.json"
HOSTILE: list[str] = json.loads(HOSTILE_FILE.read_text()) if HOSTILE_FILE.exists() else []
TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=300)

CALENDAR = (
    "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Tocsin//Maintenance//EN\r\nMETHOD:PUBLISH\r\nBEGIN:VEVENT\r\n"
    "UID:upgrade-1@acme\r\nSEQUENCE:1\r\nDTSTAMP:20260303T220000Z\r\nDTSTART:20260305T220000Z\r\n"
    "DTEND:20260306T000000Z\r\nSUMMARY:Größere Wartung der Datenbank\\, bei der Berichte nicht geöffnet werde\r\n"
    " n können\r\nDESCRIPTION:Erste Zeile\\nzweite Zeile\r\nSTATUS:CONFIRMED\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
)

HEADERS = {
    "message-id",
    "to",
    "date",
    "list-unsubscribe",
    "list-unsubscribe-post",
    "from",
    "subject",
    "list-id",
    "auto-submitted",
    "content-language",
    "mime-version",
    "content-type",
}


def raw(content: EmailContent = EMAIL, recipient=None, *, reply: bool = False) -> bytes:  # type: ignore[no-untyped-def]
    to = recipient or reader()
    digest = rendering_of("en", Level.CUSTOMER, content).sha256
    return plain(template(content, digest, "en", WHO, reply=reply).octets(to, wire_address(to), AT))


def parsed(message: bytes) -> EmailMessage:
    return message_from_bytes(message, policy=policy.default)


def body(message: EmailMessage, subtype: str) -> str:
    part = message.get_body((subtype,))
    assert part is not None
    content: str = part.get_content()
    return content.replace("\r\n", "\n")


def assert_legal(message: bytes) -> None:
    """RFC 5321 and 5322: CRLF only, lines of at most 998 octets, headers and quoted-printable lines shorter still."""
    assert b"\r" not in message.replace(b"\r\n", b"")
    assert b"\n" not in message.replace(b"\r\n", b"")
    lines = message.split(b"\r\n")
    assert max(map(len, lines)) <= 998
    start = lines.index(b"")
    assert all(len(line) <= 76 for line in lines[start:] if not line.startswith(b"Content-"))
    assert message.isascii()
    for word in re.findall(rb"=\?utf-8\?\S*", b"\r\n".join(lines[:start])):
        assert len(word) <= 75


def _unfolded(message: bytes) -> list[str]:
    return message.partition(b"\r\n\r\n")[0].decode().replace("\r\n ", " ").split("\r\n")


def quoted(name: str) -> str:
    """A short plain name stands in quotes (RFC 5322 section 3.2.4); any other is encoded."""
    return re.sub(r'(["\\])', r"\\\1", name) if len(name) <= 60 and name.isascii() and name.isprintable() else name


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str | None] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if tag == "a" and name == "href"]


def test_a_mail_has_exactly_the_headers_it_should() -> None:
    message = parsed(raw())
    assert_legal(raw())
    assert {name.lower() for name in message.keys()} == HEADERS  # noqa: SIM118 - a message is no mapping
    assert message["Message-ID"] == f"<{intent(1)}@example.com>"
    assert b'\r\nFrom: "Acme Status" <status@example.com>\r\n' in raw()
    assert b'\r\nTo: "Ada Lovelace" <reader1@example.com>\r\n' in raw()
    assert message["Subject"] == EMAIL.subject
    assert message["Date"].datetime == AT
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["List-Id"] == "<notices.example.com>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]


def test_both_bodies_come_out_as_they_went_in_with_the_recipients_own_link() -> None:
    message = parsed(raw())
    assert body(message, "plain") == EMAIL.text.replace("{{unsubscribe}}", LINK)
    links = _Links()
    links.feed(body(message, "html"))
    assert links.found == [LINK]


def test_a_calendar_entry_is_attached_beside_the_bodies_and_comes_out_as_it_went_in() -> None:
    mail = raw(EMAIL.model_copy(update={"calendar": CALENDAR}))
    assert_legal(mail)
    message = parsed(mail)
    assert message.get_content_type() == "multipart/mixed"
    bodies, attached = message.iter_parts()
    assert [part.get_content_type() for part in bodies.iter_parts()] == ["text/plain", "text/html"]
    assert body(message, "plain") == EMAIL.text.replace("{{unsubscribe}}", LINK)
    assert attached.get_content_type() == "text/calendar"
    assert attached.get_param("method") == "PUBLISH"
    assert attached.get_param("charset") == "utf-8"
    assert attached.get_filename() == "maintenance.ics"
    octets = attached.get_payload(decode=True)
    assert isinstance(octets, bytes)
    assert all(len(line) <= 75 for line in octets.split(b"\r\n"))
    (entry,) = icalendar.Calendar.from_ical(octets).walk("VEVENT")
    (given_entry,) = icalendar.Calendar.from_ical(CALENDAR).walk("VEVENT")
    assert entry.pop("ORGANIZER") == "mailto:status@example.com"
    assert entry == given_entry
    assert entry["SUMMARY"] == "Größere Wartung der Datenbank, bei der Berichte nicht geöffnet werden können"


def test_an_entry_that_is_taken_back_says_so_in_its_type() -> None:
    cancelled = CALENDAR.replace("METHOD:PUBLISH", "METHOD:CANCEL").replace("CONFIRMED", "CANCELLED")
    (_, attached) = parsed(raw(EMAIL.model_copy(update={"calendar": cancelled}))).iter_parts()
    assert attached.get_param("method") == "CANCEL"


@pytest.mark.parametrize("length", [10, 70, 75, 76, 77, 150, 850])
def test_a_link_of_any_length_stands_unfolded_in_its_header_and_whole_in_the_bodies(length: int) -> None:
    link = "https://example.com/u/" + "=.a" * length
    link = link[: 22 + length]
    message = raw(recipient=reader(unsubscribe_url=link))
    assert_legal(message)
    assert f"\r\nList-Unsubscribe: <{link}>\r\n".encode() in message
    assert link in body(parsed(message), "plain")
    assert f'"{link}"' in body(parsed(message), "html")


@pytest.mark.parametrize("before", range(60, 90))
def test_a_link_may_follow_a_line_of_any_length(before: int) -> None:
    content = EmailContent(subject="s", text="x" * before + "{{unsubscribe}}y\n", html="é" * before + "{{unsubscribe}}")
    message = raw(content)
    assert_legal(message)
    assert body(parsed(message), "plain") == "x" * before + LINK + "y\n"


def test_a_later_mail_answers_to_the_first_one() -> None:
    message = parsed(raw(recipient=reader(first_intent_id=intent(5)), reply=True))
    assert message["In-Reply-To"] == message["References"] == f"<{intent(5)}@example.com>"
    assert message["Subject"] == f"Re: {EMAIL.subject}"


def test_the_first_mail_answers_to_nothing() -> None:
    message = parsed(raw(recipient=reader(first_intent_id=intent(1))))
    assert message["In-Reply-To"] is None
    assert message["References"] is None


def test_without_a_link_there_is_no_unsubscribe_header() -> None:
    message = parsed(raw(recipient=reader(unsubscribe_url=None)))
    assert message["List-Unsubscribe"] is None
    assert message["List-Unsubscribe-Post"] is None
    assert "{{" not in body(message, "plain")


def test_the_same_intent_makes_the_same_bytes() -> None:
    assert raw() == raw()


@needs_corpus
@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_hostile_string_makes_a_header_or_changes_on_the_way(text: str) -> None:
    in_line = " ".join(text.split())
    message = raw(EmailContent(subject=in_line, text=text, html=text), reader(name=in_line))
    assert_legal(message)
    read = parsed(message)
    assert {name.lower() for name in read.keys()} == HEADERS  # noqa: SIM118
    assert read["Subject"] == in_line
    assert [address.addr_spec for address in read["To"].addresses] == ["reader1@example.com"]
    # The parser of Python 3.11 keeps the space between the encoded words of a name; RFC 2047 section 6.2 drops it.
    name = next(line for line in _unfolded(message) if line.startswith("To: ")).removeprefix("To: ")
    shown = str(make_header(decode_header(name))).removesuffix("<reader1@example.com>").removesuffix(" ")
    assert shown.removeprefix('"').removesuffix('"') == quoted(in_line) or not in_line
    # Line ends are a mail's own; everything else is as it was.
    assert body(read, "plain").splitlines() == text.splitlines()
    assert body(read, "html").splitlines() == text.splitlines()


@given(TEXTS, TEXTS)
def test_any_text_is_legal_and_comes_out_as_it_went_in(text: str, html: str) -> None:
    message = raw(EmailContent(subject="s", text=text + "{{unsubscribe}}" + html, html=html))
    assert_legal(message)
    lines = (text + LINK + html).replace("\r\n", "\n").replace("\r", "\n")
    part = parsed(message).get_body(("plain",))
    assert part is not None
    decoded = part.get_payload(decode=True)
    assert isinstance(decoded, bytes)
    assert decoded.decode().replace("\r\n", "\n") == lines


@given(TEXTS)
def test_any_subject_and_name_is_one_header_or_refused(text: str) -> None:
    try:
        message = raw(EmailContent(subject=text, text="t", html="h"), reader(name=text))
    except Refused:
        assert "\r" in text or "\n" in text
        return
    assert_legal(message)
    assert {name.lower() for name in parsed(message).keys()} == HEADERS  # noqa: SIM118


@pytest.mark.parametrize("broken", ["a\r\nBcc: x@evil.example", "a\nb", "a\rb"])
def test_line_breaks_in_subject_or_name_are_refused(broken: str) -> None:
    with pytest.raises(Refused, match="subject_refused"):
        raw(EmailContent(subject=broken, text="t", html="h"))
    with pytest.raises(Refused, match="address_refused"):
        raw(recipient=reader(name=broken))


@pytest.mark.parametrize(
    "address",
    [
        "a@example.com\r\nRCPT TO:<b@example.com>",
        "a@example.com\n",
        "a b@example.com",
        "a@b@example.com",
        "<a@example.com>",
        "a@example.com> SIZE=1",
        "a@exa mple.com",
        "a@-example.com",
        "example.com",
        "@example.com",
        "a@",
        "",
        "a" * 65 + "@example.com",
        "a@" + "x" * 64 + ".com",
        "a\x00@example.com",
    ],
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(Refused, match="address_refused"):
        wire_address(reader(address=address))


def test_a_foreign_domain_is_written_in_idna_and_a_foreign_mailbox_needs_smtputf8() -> None:
    assert wire_address(reader(address="ada@münchen.example")) == "ada@xn--mnchen-3ya.example"
    assert wire_address(reader(address="jürgen@example.com")) == "jürgen@example.com"


@pytest.mark.parametrize(
    "link", ["https://e.com/\r\nBcc: x@y.z", "https://e.com/> x", "https://e.com/a b", "javascript:1"]
)
def test_a_link_that_could_end_its_header_is_refused(link: str) -> None:
    with pytest.raises(Refused, match="unsubscribe_url_refused"):
        raw(recipient=reader(unsubscribe_url=link))


def test_a_mail_to_a_list_has_a_link_but_no_one_click() -> None:
    message = parsed(raw(recipient=reader(one_click=False)))
    assert message["List-Unsubscribe"] is None
    assert message["List-Unsubscribe-Post"] is None
    assert LINK in message.get_body(("plain",)).get_content()


def test_the_link_of_a_request_for_confirmation_is_the_recipients_own() -> None:
    link = "https://status.example.com/c/abc"
    content = EMAIL.model_copy(update={"text": "Confirm: {{confirm}}\n", "html": '<a href="{{confirm}}">yes</a>'})
    message = parsed(raw(content=content, recipient=reader(confirm_url=link, unsubscribe_url=None)))
    assert message.get_body(("plain",)).get_content().strip() == f"Confirm: {link}"
    # In words of an event, which may look like a slot, they stay words.
    message = parsed(raw(content=content))
    assert message.get_body(("plain",)).get_content().strip() == "Confirm: {{confirm}}"


def test_the_return_path_carries_a_signed_token_that_survives_any_server() -> None:
    vault = Vault.of(b"the secret of the tests of mails, long enough")
    token = vault.return_token(intent(3), 3)
    sender = WHO.envelope_sender(reader(3, return_token=token))
    assert sender == f"bounce+{token}@bounces.example.com"
    assert len(sender.partition("@")[0]) <= 64
    assert token_in(sender) == token_in(sender.upper()) == token
    assert vault.read_return_token(token) == (intent(3), 3)
    for forged in (
        "status@example.com",
        f"bounce+{intent(3)}.3@bounces.example.com",
        "bounce+zz.3@bounces.example.com",
    ):
        assert token_in(forged) is None
    assert vault.read_return_token(token.replace(".3.", ".4.")) is None
    assert vault.read_return_token(vault.return_token(intent(4), 3)[:36] + token[36:]) is None
    assert Vault.of(b"another secret of the tests of mails, long").read_return_token(token) is None


def test_a_bounce_mailbox_whose_name_leaves_no_room_for_a_token_is_refused() -> None:
    assert identity("status@example.com", "bounces-to-1@example.com").return_path
    with pytest.raises(ConfigurationError, match=r"TOCSIN_MAIL_RETURN_PATH: at most 12 characters"):
        identity("status@example.com", "bounces-to-12@example.com")


def test_without_a_return_path_bounces_go_to_the_writer() -> None:
    who = identity("Status <status@example.com>", None)
    assert who.envelope_sender(reader(3)) == "status@example.com"


@pytest.mark.parametrize(("mail_from", "path", "named"), [("Status", None, "MAIL_FROM"), ("a@b.c", "x", "RETURN_PATH")])
def test_a_wrong_setting_is_named(mail_from: str, path: str | None, named: str) -> None:
    with pytest.raises(ConfigurationError, match=f"TOCSIN_\\w*{named}"):
        identity(mail_from, path)
