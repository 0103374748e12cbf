"""Hostile strings in every text field of an event, and in the names of people, through the running system."""

import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from email import message_from_bytes, policy
from email.message import EmailMessage
from functools import cache
from html.parser import HTMLParser

import pytest
import pytest_asyncio

from pipeline.broker import connect
from pipeline.decide.view import UNSUBSCRIBE
from pipeline.registrations import Refused, registration
from pipeline.sandbox.truth import Mail
from pipeline.subscribers import Registration, event_record, key_record, subscribe
from pipeline.text.post import weighted_length
from pipeline.vault import ContactData
from schemas import codec, topics
from schemas.base import Channel, Line, Message, Severity
from schemas.deadletter import DeadLetter
from schemas.delivery import Result
from schemas.incident import IncidentEvent, IncidentOpened, IncidentResolved, IncidentUpdated
from schemas.journal import JournalEntry
from schemas.subscriber import Choices, Subscribed, SubscriberKind
from tests.paths import CORPUS
from tests.security.whole import Whole, whole
from tests.system import AT, channel_counts, eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

OWN = [
    "{{7*7}}", "{{ it }}", "{% raw %}", "{% for x in it %}", "{# gone #}", UNSUBSCRIBE, "{{unsub", "scribe}}", "${7*7}",
    "{{{{unsubscribe}}unsubscribe}}", "#{7*7}", "%(x)s %n {0}", "<script>alert(1)</script>", "<!--", "]]>",
    "a\r\nBcc: victim@example.com", "a\nBcc: victim@example.com", "a\rBcc: victim@example.com",
    "a\u2028Bcc: victim@example.com", "a\x85Bcc: victim@example.com", "a\x0bBcc: b", "a\x00b", "\r\n.\r\nMAIL FROM:<x>",
    "\r\n\r\n<b>body</b>", "=?utf-8?q?=0D=0ABcc:_victim@example.com?=", "--=_boundary--", "</td></table><h1>",
    "\" onmouseover=\"x()", "' onload='x()", "<img src=x onerror=x()>", "javascript:x()", "&lt;b&gt;",
    "\u202egnp.exe", "\u2066x\u2069", "\ufeff", "\ufffe\uffff", "\ue000", "e\u0301" * 20,
]  # fmt: skip
LINE = 300
EACH = 4
"""Every fourth story goes on to an update and its end."""
ALWAYS = Counter(
    ["From", "To", "Subject", "Date", "Message-ID", "List-Id", "List-Unsubscribe", "List-Unsubscribe-Post",
     "Auto-Submitted", "Content-Language", "MIME-Version", "Content-Type"]
)  # fmt: skip
LATER = ALWAYS + Counter(["In-Reply-To", "References"])


class _Line(Message):
    line: Line


def cleaned(text: str) -> str:
    """A string as one line of the wire; empty where nothing is left of it."""
    try:
        return _Line(line=text).line
    except ValueError:
        return ""


@cache
def strings() -> tuple[str, ...]:
    path = CORPUS / "vectors" / "hostile-strings.json"
    return (*OWN, *(json.loads(path.read_text()) if path.is_file() else []))


@cache
def packs() -> tuple[tuple[str, ...], ...]:
    """The strings in packs, each of which fits into one line of an event."""
    found: list[list[str]] = [[]]
    for text in strings():
        if len(" ".join([*found[-1], text])) > LINE - 5:
            found.append([])
        found[-1].append(text)
    return tuple(map(tuple, found))


def said(text: str) -> dict[str, object]:
    """The same in every text field."""
    return {
        "title": text, "components": [text], "regions": [text], "summary": text, "workaround": text, "good_news": text,
        "consequences": {"now": text, "expected": text, "lasting": text}, "contact": {"name": text, "reach": text},
        "crew": {"who": text}, "technical_detail": text, "internal_notes": text, "ownership": text, "done": text,
        "planned": text, "root_cause": text,
    }  # fmt: skip


def opened(text: str) -> IncidentEvent:
    return IncidentOpened.model_validate(said(text) | {"severity": Severity.CRITICAL})


def later(text: str) -> tuple[IncidentEvent, IncidentEvent]:
    """An update and the end, each in other words, so that it is news."""
    fields = said(text)
    return (
        IncidentUpdated.model_validate(fields | {"summary": f"news {text}"}),
        IncidentResolved.model_validate(fields | {"summary": f"over {text}"}),
    )


class Elements(HTMLParser):
    """Every start tag with its attributes but links, the text between them, and what a browser would not read so."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.links: list[str] = []
        self.text = ""
        self.strange: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]
        self.tags[" ".join([tag, *(f"{name}={value}" for name, value in attrs if name != "href")])] += 1

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        self.strange.append(data)

    def handle_pi(self, data: str) -> None:
        self.strange.append(data)

    def unknown_decl(self, data: str) -> None:
        self.strange.append(data)


def one_line(text: str) -> str:
    return " ".join(text.split())


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def told(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Whole]:
    """A system with one subscriber on each channel, who hear of everything."""
    async with whole(tmp_path_factory.mktemp("hostile"), ("decide", "deliver")) as found:
        await found.system.subscribe("mail", email="mail@example.com", audiences="technical")
        await found.system.subscribe("text", phone="+14155550100", audiences="customers")
        await found.system.subscribe("post", x_handle="status", audiences="public")
        yield found


def mails_of(told: Whole, incident: str) -> list[Mail]:
    """In the order in which they were to be told: lanes do not wait for each other."""
    found = [mail for mail in told.sandbox.mails if mail.subject.endswith(f"[{incident}]")]
    return sorted(found, key=lambda mail: ("resolved" in mail.text.split("\n")[0].lower(), mail.n))


def assert_sound(mail: Mail, expected: Iterable[Counter[str]], recipient: str) -> EmailMessage:
    """Exactly the headers and parts that a mail of ours has, as the standard library reads the very bytes."""
    assert mail.recipients == (recipient,)
    assert mail.raw.isascii()
    assert b"\r" not in mail.raw.replace(b"\r\n", b"")
    assert b"\n" not in mail.raw.replace(b"\r\n", b"")
    assert all(len(line) <= 998 for line in mail.raw.split(b"\r\n"))
    assert Counter(message_from_bytes(mail.raw).keys()) in expected
    message = message_from_bytes(mail.raw, policy=policy.default)
    assert isinstance(message, EmailMessage)
    parts = list(message.walk())
    assert [part.get_content_type() for part in parts] == ["multipart/alternative", "text/plain", "text/html"]
    assert not any(part.defects for part in parts)
    assert all(Counter(part.keys()) == Counter(["Content-Type", "Content-Transfer-Encoding"]) for part in parts[1:])
    [to] = message["To"].addresses
    assert to.addr_spec == recipient
    return message


def part_of(message: EmailMessage, subtype: str) -> str:
    part = next(part for part in message.walk() if part.get_content_type() == f"text/{subtype}")
    return str(part.get_content())


async def test_no_string_becomes_a_header_an_element_or_a_template(told: Whole) -> None:
    system, stories = told.system, [("plain words",), *packs()]
    for n, pack in enumerate(stories):
        await system.publish(f"pack-{n}", opened(" ".join(pack)))
    further = len(range(0, len(stories), EACH))
    # Each is mailed and posted; customers are texted of the start and the end only. One after the other: of what had
    # to wait, only the last is told.
    await system.all_settled(3 * len(stories), within_s=60)
    for step, intents in ((0, 2), (1, 5)):
        for n in range(0, len(stories), EACH):
            await system.publish(f"pack-{n}", later(" ".join(stories[n]))[step], start=step + 1)
        found = await system.all_settled(3 * len(stories) + intents * further, within_s=60)
    assert channel_counts(found) == {Result.ACCEPTED: len(found.intended)}, found.reasons

    plain = [Elements(mail.html) for mail in mails_of(told, "pack-0")]
    assert len(plain) == 3
    assert not any(one.strange for one in plain)
    for n, pack in enumerate(stories):
        mails = mails_of(told, f"pack-{n}")
        assert len(mails) == (3 if n % EACH == 0 else 1)
        for number, mail in enumerate(mails):
            message = assert_sound(mail, (ALWAYS, LATER), "mail@example.com")
            assert_literal(message, str(mail.header("List-Unsubscribe"))[1:-1], pack, plain[number])
    assert_limits(told, len(stories) + further, len(stories) + 2 * further)


def assert_literal(message: EmailMessage, link: str, pack: tuple[str, ...], model: Elements) -> None:
    """Both parts say every string as it is; the HTML has the elements of `model` and the recipient's own link."""
    html, text = Elements(part_of(message, "html")), part_of(message, "plain")
    # The line breaks of a text are told as such.
    assert html.tags - Counter({"br": html.tags["br"]}) == model.tags - Counter({"br": model.tags["br"]})
    assert html.links == [link]
    assert not html.strange
    assert text.count(link) == 1
    for one in map(cleaned, pack):
        literal = one_line(one.replace(UNSUBSCRIBE, "{{ unsubscribe }}"))
        assert literal in one_line(text)
        assert literal in one_line(html.text)
    assert message["Subject"].isprintable() or not re.search(r"[\r\n\x00]", message["Subject"])


def assert_limits(told: Whole, texts: int, posts: int) -> None:
    """Text messages and posts keep theirs, whatever they say, and hold no control character."""
    control = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
    assert len(told.sandbox.texts) == texts
    assert len(told.sandbox.posts) == posts
    for text in told.sandbox.texts:
        assert len(text.body) <= 1600
        assert text.num_segments <= 2
        assert not control.search(text.body)
    for post in told.sandbox.posts:
        assert 0 < weighted_length(post.text) <= 280
        assert not control.search(post.text)
    assert any("{{7*7}}" in text.body for text in told.sandbox.texts)
    assert any("{{7*7}}" in post.text for post in told.sandbox.posts)


async def test_a_name_stays_a_name(told: Whole) -> None:
    system, names = told.system, dict[str, str]()
    records: list[codec.Outgoing] = []
    for n, text in enumerate(strings()):
        fields = {"name": text, "email": f"n{n}@example.com", "audiences": ["customers"], "components": ["Names"]}
        if cleaned(text) == "":
            with pytest.raises(Refused, match="name: 1 to 300 characters"):
                registration(fields)
            continue
        names[f"n{n}@example.com"] = cleaned(text)
        records += subscribe(system.vault, registration(fields), f"n{n}", AT)
    # What no import lets through: a sealed contact that some other program wrote.
    wrong = [("a\r\nBcc: v@example.com", "w0@example.com"), (None, "w1@example.com\r\nBcc: v@example.com"),
             (None, "w2@example.com>\r\nDATA"), (None, "w3@example.com, v@example.com")]  # fmt: skip
    for n, (name, address) in enumerate(wrong):
        choices = Choices(audiences=("customers",), channels=(Channel.EMAIL,), components=("Names",))
        row = Registration(SubscriberKind.PERSON, choices, ContactData(name=name, email=address))
        key = system.vault.new_key()
        sealed = system.vault.seal(f"w{n}", key, row.contact)
        event = Subscribed(choices=choices, contact=sealed, address_tokens={})
        records += [key_record(f"w{n}", system.vault.wrap(f"w{n}", key), AT), event_record(f"w{n}", event, AT)]
    await system.write(*records)
    before = len((await system.delivered()).intended)
    await system.publish("names", IncidentOpened(title="Names", severity=Severity.MAJOR, components=("Names",)))
    # Of those who want to hear of everything: one mail, one text, one post.
    found = await system.all_settled(before + len(names) + 4 + 3, within_s=60)
    assert found.reasons["address_refused"] == 4
    mails = {mail.recipients[0]: mail for mail in mails_of(told, "names")}
    assert mails.keys() == names.keys() | {"mail@example.com"}
    for address, name in names.items():
        message = assert_sound(mails[address], (ALWAYS,), address)
        [to] = message["To"].addresses
        # Python 3.11 puts blanks between the encoded words of a phrase, which RFC 2047 (6.2) tells it to leave out.
        assert "".join(to.display_name.split()) == "".join(name.split())


async def test_lone_surrogates_and_what_is_refused_leave_a_reason_and_the_partition_goes_on(told: Whole) -> None:
    def raw(incident: str, data: str, **attributes: str) -> codec.Outgoing:
        named = {"specversion": "1.0", "id": incident, "source": "/t", "type": IncidentOpened.TYPE, "subject": incident}
        event = json.dumps(named | attributes)[:-1] + f', "data": {data}}}'
        headers = (("content-type", b"application/cloudevents+json"),)
        return codec.Outgoing(topics.INCIDENT_EVENTS.name, incident.encode(), event.encode(), headers, 0)

    system = told.system
    title = '"severity": "major", "title"'
    refused = {
        "blank": f'{{{title}: "\\u0000\\u202e \\n"}}',
        "overlong": f'{{{title}: "{"x" * 301}"}}',
        "prose": f'{{{title}: "t", "summary": "{"x" * 10_001}"}}',
        "odd-key": f'{{{title}: "t", "\\ud800<b>": "x"}}',
        "odd-attribute": "0",
    }
    mended = {
        "lone-high": raw("lone-high", f'{{{title}: "Half a \\ud83d smiley"}}'),
        "lone-low": raw("lone-low", f'{{{title}: "t", "components": ["\\udc00 x"], "summary": "\\udfff\\ud800 s"}}'),
        "odd-source": raw("odd-source", f'{{{title}: "t"}}', source="/\ud800\r\n"),
        "odd-extension": raw("odd-extension", f'{{{title}: "t"}}', anything="\ud800"),
    }
    odd = {
        name: raw(name, data, **({"\ud800": "x"} if name == "odd-attribute" else {})) for name, data in refused.items()
    }
    await system.write(*odd.values(), *mended.values())
    await system.write(raw("odd-type", f'{{{title}: "t"}}', type="\ud800"), raw("last", f'{{{title}: "the last"}}'))

    wanted = {
        "Half a smiley [lone-high]", "t [lone-low]", "t [odd-source]", "t [odd-extension]", "the last [last]",
    }  # fmt: skip

    async def all_came() -> bool:
        return wanted <= {mail.subject for mail in told.sandbox.mails}

    await eventually(all_came, 30, f"the partitions go on; decide: {system.log('decide')}")
    letters = [codec.decode(record, DeadLetter).data for record in await system.read(topics.DEAD_LETTERS)]
    assert Counter(letter.reason for letter in letters) == {
        "invalid_field": 4,
        "unknown_type": 1,
        "not_a_cloudevent": 1,
    }
    assert all(letter.detail for letter in letters)
    assert all(process.returncode is None for process in system.processes.values())
    # Their producer put them where our own hash of their keys would not: each is moved home and journaled there once.
    journal = await system.read(topics.INCIDENT_JOURNAL)
    where = [(codec.decode(record, JournalEntry).data.incident, record.partition) for record in journal]
    assert Counter(place for place in where if place[0] in mended) == {
        (name, connect.partition_for(name, system.settings.partitions)): 1 for name in mended
    }
