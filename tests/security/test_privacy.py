"""Who is told stays between them and us: no address, name, handle or token in any byte that is kept, sealed aside.

What is for insiders stays inside: canary words in such fields reach nobody outside, on any channel.
"""

import base64
import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from pipeline.broker import connect
from pipeline.sandbox.server import AUTH_TOKEN, X_KEYS
from schemas import codec, topics
from schemas.base import Severity
from schemas.deadletter import DeadLetter
from schemas.incident import IncidentOpened, IncidentResolved, IncidentUpdated
from schemas.subscriber import Stopped, Subscribed
from tests.security.whole import ONE_CLICK, Whole, whole
from tests.system import eventually

EMAIL, PHONE = "zelda.quixote@hyrule-mail.example", "+14155552671"
NAME, HANDLE = "Zelda Quixóte-Hyrule", "zquixote_hyrule"
OTHERS = ("ganon.dorf@desert-mail.example", "impa.sheikah@kakariko-mail.example", "+14155552672")
TYPED_WRONG = "typed.wrong@clear-mail.example"
PERSONAL = (
    EMAIL,
    "zelda.quixote",
    "hyrule-mail",
    PHONE,
    PHONE[2:],
    "(415) 555-2671",
    NAME,
    HANDLE,
    *OTHERS,
    TYPED_WRONG,
)
INTERNAL, TECHNICAL, OWNED = "canaryinternal", "canarytechnical", "canaryownership"


def spellings(secret: str) -> Iterator[bytes]:
    """The text as it might stand somewhere: in clear, in JSON, percent-encoded, in UTF-16, in base64 at any offset."""
    raw = secret.encode()
    yield from (raw, json.dumps(secret)[1:-1].encode(), quote(secret, safe="").encode(), quote(secret).encode())
    yield "".join(f"%{byte:02X}" for byte in raw).encode()
    yield from (raw.hex().encode(), secret.encode("utf-16-le"))
    for offset in range(3):
        for encoded in (base64.b64encode, base64.urlsafe_b64encode):
            whole_groups = encoded(bytes(offset) + raw).rstrip(b"=")
            # The first and the last characters hang on what stands around it.
            yield whole_groups[0 if offset == 0 else 4 : -1]


def found_in(content: bytes, secrets: tuple[str, ...]) -> list[str]:
    content = content.lower()
    return [secret for secret in secrets for one in spellings(secret) if one.lower() in content]


def test_the_search_finds_every_spelling() -> None:
    for offset in range(3):
        assert found_in(base64.b64encode(b"x" * offset + EMAIL.encode() + b"yy"), (EMAIL,))
    assert found_in(quote(f"to={EMAIL}", safe="").encode(), (EMAIL,))
    assert found_in(json.dumps(NAME).encode(), (NAME,))
    assert not found_in(b"zelda at hyrule", PERSONAL)


def canaries(summary: str) -> dict[str, str]:
    return {
        "summary": summary,
        "internal_notes": f"{INTERNAL} in the notes",
        "technical_detail": f"{TECHNICAL} in the detail",
        "ownership": f"{OWNED} in the admission",
    }


async def everything_happens(it: Whole) -> list[str]:
    """Subscribing, being told, failing, leaving, stopping, dead letters; the tokens that were given out meanwhile."""
    system, sandbox = it.system, it.sandbox
    await system.subscribe("s-zelda", name=NAME, email=EMAIL, phone=PHONE, x_handle=HANDLE, channels="email;sms")
    await system.subscribe("s-ganon", email=OTHERS[0], audiences="technical", name=NAME)
    await system.subscribe("s-impa", email=OTHERS[1], phone=OTHERS[2], audiences="executives", channels="email;sms")
    await system.subscribe("s-account", x_handle=HANDLE, audiences="public")
    # What providers say may name the address.
    sandbox.fault("smtp", "refuse", stage="rcpt", code=451, match=EMAIL)
    sandbox.fault("twilio", "reset_after_accept", match=PHONE)
    first = {"title": "findable title", "severity": Severity.CRITICAL, **canaries("It began.")}
    await system.publish("INC-1", IncidentOpened.model_validate(first))
    await system.publish("INC-1", IncidentUpdated.model_validate(canaries("It goes on.")), start=1)
    # Opened: three mails, two texts, a post. Updated: three mails and a post.
    await system.all_settled(6 + 4)
    assert sandbox.fired("refuse")
    assert sandbox.fired("reset_after_accept")

    link = it.link_in_mail_to(EMAIL)
    for _ in range(2):
        async with it.client.get(link) as page:
            assert page.status == 200
    async with it.client.post(link, data=ONE_CLICK) as answer:
        assert answer.status == 200
    await it.client.get(f"{link}x")
    await sandbox.inbound(PHONE, "STOP", f"{it.web_url}/twilio/inbound")

    async def stopped() -> bool:
        return any(isinstance(event, Stopped) for event in await it.events_of("s-zelda"))

    await eventually(stopped, 30)
    await system.publish("INC-1", IncidentResolved.model_validate(canaries("It is over.")), start=2)
    await wrong_inputs(it)
    links = [str(mail.header("List-Unsubscribe"))[1:-1].rpartition("/")[2] for mail in sandbox.mails]
    return links + [(text.status_callback or "").partition("?d=")[2] for text in sandbox.texts]


async def wrong_inputs(it: Whole) -> None:
    """An address in each place where a programme that has not read the manual may put it."""
    fine = {"ce_specversion": "1.0", "ce_id": "1", "ce_source": "/t", "ce_type": Subscribed.TYPE, "ce_subject": "s1"}
    at = f"mailto:{TYPED_WRONG}"
    sealed = {"nonce": "AAAA", "ciphertext": "AAAA"}
    valid = {"choices": {"audiences": [], "channels": []}, "contact": sealed, "address_tokens": {}}
    wrong: list[tuple[bytes, dict[str, str], dict[str, Any]]] = [
        (b"s1", {}, {"choices": {}, "email": TYPED_WRONG}),
        (b"s1", {}, {TYPED_WRONG: "x"}),
        (TYPED_WRONG.encode(), {}, valid),
        (TYPED_WRONG.encode(), {"ce_subject": TYPED_WRONG}, valid),
        (b"s1", {"ce_type": at}, valid),
        (b"s1", {"ce_time": at}, valid),
        (b"s1", {"ce_id": at, "ce_other": at}, {}),
    ]
    records = []
    for key, headers, data in wrong:
        raw = tuple((name, value.encode()) for name, value in {**fine, **headers}.items())
        records.append(codec.Outgoing("subscriber.events", key, json.dumps(data).encode(), raw, 0))
    twice = f'{{"{TYPED_WRONG}": 1, "{TYPED_WRONG}": 2}}'.encode()
    records.append(codec.Outgoing("subscriber.events", b"s1", twice, records[0].headers, 0))
    await it.system.write(*records)

    async def buried() -> bool:
        return len(await it.system.read(topics.DEAD_LETTERS)) == len(records)

    await eventually(buried, 30, "a dead letter each")


@pytest.mark.slow
async def test_no_byte_that_is_kept_says_who_was_told(tmp_path: Path) -> None:
    async with whole(tmp_path) as it:
        tokens = tuple(await everything_happens(it))
        assert len(tokens) > 6
        secrets = (*tokens, (tmp_path / "keys" / "secret").read_text().strip(), AUTH_TOKEN, *X_KEYS.values())
        # The end: by mail and text to two, suppressed for the one who left, and a post.
        await it.system.all_settled(10 + 6)
        dead = [codec.decode(record, DeadLetter).data for record in await it.system.read(topics.DEAD_LETTERS)]
        assert all(letter.value is None and letter.sealed is not None for letter in dead)
        await all_sealed(it)
        assert_canaries(it)
        assert not [leak async for leak in leaks_in_topics(it, PERSONAL + secrets)]
    kept = {path.relative_to(tmp_path): searchable(path) for path in tmp_path.rglob("*") if path.is_file()}
    seen = {path.parts[0] for path, content in kept.items() if b"findable title" in content}
    assert seen == {"broker", "audit"}, "the search would find what is there"
    for path, content in kept.items():
        wanted = PERSONAL + secrets
        if path == Path("keys/secret"):
            wanted = PERSONAL
        if path.parts[0] == "broker":
            content = without_what_upstream_wrote(content)
        assert not found_in(content, wanted), path


async def leaks_in_topics(it: Whole, secrets: tuple[str, ...]) -> AsyncIterator[str]:
    for topic in topics.ALL:
        async for record in connect.read_all(it.system.settings, topic.name):
            headers = (name.encode() + b"=" + value for name, value in record.headers)
            content = b"\n".join([record.key or b"", record.value or b"", *headers])
            # What upstream wrote in clear stands where upstream wrote it; nothing of ours may repeat it.
            if topic is topics.SUBSCRIBER_EVENTS_TOPIC and TYPED_WRONG.encode() in content:
                continue
            if found := found_in(content, secrets):
                yield f"{topic.name}: {found}: {content[:300]!r}"


def searchable(path: Path) -> bytes:
    """A file's bytes; the embedded broker writes its records down as lists of numbers."""
    content = path.read_bytes()
    if path.parent.name != "broker":
        return content
    batches = re.findall(rb"\[(\d{1,3}(?:,\d{1,3})+)\]", content)
    assert batches
    return content + b"\n".join(
        bytes(map(int, batch.split(b","))) for batch in batches if max(map(int, batch.split(b","))) < 256
    )


def without_what_upstream_wrote(content: bytes) -> bytes:
    return content.replace(TYPED_WRONG.encode(), b"")


def assert_canaries(it: Whole) -> None:
    """What is for insiders is told to nobody, what is for technicians only to them, what needs approval to nobody."""
    mails = [
        (mail.recipients[0], f"{mail.raw.decode()}{mail.subject}{mail.text}{mail.html}") for mail in it.sandbox.mails
    ]
    short = [text.body for text in it.sandbox.texts] + [post.text for post in it.sandbox.posts]
    # what is still on its way when the end comes is not told any more, so how many there are is left to chance
    assert len(mails) >= 4
    assert len(short) >= 2
    everything = "".join([said for _, said in mails] + short).lower()
    assert INTERNAL not in everything
    assert OWNED not in everything
    for recipient, said in mails:
        assert (TECHNICAL in said) == (recipient == OTHERS[0])
    assert not any(TECHNICAL in said for said in short)


async def all_sealed(it: Whole) -> None:
    """Waits until the log holds what was to be sealed, so that it is searched too."""
    sources = (topics.INCIDENT_JOURNAL, topics.DELIVERY_RECORDS_TOPIC, topics.SUBSCRIBER_EVENTS_TOPIC)
    size = sum([len(await it.system.read(topic)) for topic in sources])

    async def there() -> bool:
        return len(await it.system.read(topics.AUDIT_LOG)) >= size

    await eventually(there, 30, f"{size} records are sealed; record says: {it.system.log('record')}")
