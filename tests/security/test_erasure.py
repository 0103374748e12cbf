"""A person is erased, over the whole running system: nothing that is kept says who they were, and every proof holds.

The search reads like someone who has copied everything, the deployment's secret too: every wrapped key that stands
anywhere is unwrapped, and every ciphertext tried with it.
"""

import asyncio
import base64
import hashlib
import json
import re
import smtplib
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.broker import runfile
from pipeline.clock import now
from pipeline.enrolment import Terms, plan_import
from pipeline.registrations import Numbered
from pipeline.subscribers import Roster
from pipeline.vault import Unreadable, Vault
from schemas import codec, topics
from schemas.audit import AuditEntry
from schemas.base import Channel, Severity
from schemas.codec import Outgoing
from schemas.incident import IncidentOpened, IncidentResolved, IncidentUpdated
from schemas.subscriber import Bounced, Complained, Erased, SealedContact, Stopped, SubscriberKey
from tests.commands.running import tocsin
from tests.receipts.mails import complaint, report
from tests.security.test_privacy import found_in, searchable
from tests.security.whole import ONE_CLICK, Whole, whole
from tests.system import eventually

ZELDA = {
    "name": "Zelda Quixóte-Hyrule",
    "email": "zelda.quixote@hyrule-mail.example",
    "phone": "+14155552671",
    "x_handle": "zquixote_hyr",
    "webhook_url": "https://hooks.hyrule-mail.example/zelda-only",
    "webhook_secret": "whsec_" + base64.b64encode(b"the secret that zelda signs with").decode(),
    "apprise_url": "ntfys://zeldas-very-own-topic",
}
GANON = {"name": "Ganondorf Dragmire", "email": "ganon.dorf@desert-mail.example"}
MIDNA = {"name": "Midna Of-Twilight", "email": "midna@twilight-mail.example", "phone": "+14155552673"}
IMPA = {"name": "Impa Sheikah", "email": "impa.sheikah@kakariko-mail.example", "phone": "+14155552672"}
"""Whoever is not erased, and so is found."""
GONE = (*ZELDA.values(), *GANON.values(), *MIDNA.values(), "hyrule-mail", "zelda.quixote", "4155552671", "4155552673")
RETURN_PATH = "bounce@bounces.example.com"
B64 = rb"[A-Za-z0-9+/]"
SEALED = re.compile(rb"(?=(%b{16})[^A-Za-z0-9+/]{1,8}(?:(?:wrapped|ciphertext)\W{1,8})?(%b{40,}={0,2}))" % (B64, B64))
"""A nonce and what was sealed with it, as JSON has them and as a worker's file does; wherever they overlap."""
WRAPPED_CHARS = 64


KINDS = (hashlib.md5, hashlib.sha1, hashlib.sha256)


def hashed_in(content: bytes, secrets: tuple[str, ...]) -> list[str]:
    """Whom a hash that takes no key gives away to whoever guesses."""
    content = content.lower()
    spelled = [(secret, one) for secret in secrets for one in {secret, secret.lower(), secret.lstrip("+")}]
    digests = [(secret, kind(one.encode()).digest()) for secret, one in spelled for kind in KINDS]
    forms = [(secret, form) for secret, raw in digests for form in (raw, raw.hex().encode(), base64.b64encode(raw))]
    return [secret for secret, form in forms if form.lower() in content]


def opened(content: bytes, vault: Vault, ids: tuple[str, ...]) -> Iterator[str]:
    """What opens to somebody who has these bytes and the deployment's secret."""
    found = SEALED.findall(content)
    # In a worker's file the next row begins right behind a key.
    pairs = {(n.decode(), text.decode()) for n, whole in found for text in (whole, whole[:WRAPPED_CHARS])}
    keys: list[tuple[str, bytes]] = []
    for name in ids:
        for nonce, text in pairs:
            try:
                keys.append((name, vault.unwrap(name, SubscriberKey(nonce=nonce, wrapped=text))))
            except (Unreadable, ValueError):
                continue
    for nonce, text in pairs:
        sealed = SealedContact(nonce=nonce, ciphertext=text)
        for name, key in keys:
            try:
                yield vault.unseal(name, key, sealed).model_dump_json(exclude_none=True)
            except Unreadable:
                continue


async def said(it: Whole, *arguments: str) -> tuple[int, str]:
    done = await tocsin(it.system.settings, *arguments)
    return done.exit_code, done.output


async def enrol(it: Whole, roster: Roster, id_: str, **fields: object) -> None:
    [planned] = plan_import(
        [Numbered(1, {"id": id_, "audiences": ["customers"], **fields})],
        roster, it.system.vault, now(), Terms(consent="contract"),
    )  # fmt: skip
    assert planned.refused is None
    for stage in planned.records(now()):
        await it.system.write(*stage)


async def mail_back(it: Whole, raw: bytes, to: str) -> None:
    port = (runfile.read(it.system.settings.data_dir / "run" / "web.ready") or {})["bounce_port"]

    def session() -> None:
        with smtplib.SMTP("127.0.0.1", port, timeout=10) as client:
            client.sendmail("", [to], raw)

    await asyncio.to_thread(session)


async def heard_of(it: Whole, subscriber: str, kind: type) -> None:
    async def there() -> bool:
        return any(isinstance(event, kind) for event in await it.events_of(subscriber))

    await eventually(there, 30, f"{kind.__name__} of {subscriber}")


async def a_life_in_the_system(it: Whole) -> None:
    """Told on two channels, refused with the address in the answer, bounced, complained, stopped, left, merged."""
    roster = Roster()
    channels = {"channels": ["email", "sms"]}
    await enrol(it, roster, "s-phone", phone=MIDNA["phone"])
    await enrol(it, roster, "s-midna", **MIDNA, **channels)  # one with s-phone from now on
    await enrol(it, roster, "s-zelda", **ZELDA, **channels, roles=["princess-of-hyrule"])
    await enrol(it, roster, "s-ganon", **GANON)
    await enrol(it, roster, "s-impa", **IMPA, **channels)
    it.sandbox.fault("smtp", "refuse", stage="rcpt", code=451, match=ZELDA["email"])
    it.sandbox.fault("twilio", "reset_after_accept", match=ZELDA["phone"])
    what = {"title": "findable title", "severity": Severity.CRITICAL, "summary": "It began."}
    await it.system.publish("INC-1", IncidentOpened.model_validate(what))
    await it.system.all_settled(7)
    path = {mail.recipients[0]: mail.sender for mail in it.sandbox.mails}
    await mail_back(it, complaint(return_path=path[GANON["email"]]), RETURN_PATH)
    back = path[MIDNA["email"]]
    await mail_back(it, report(to=back, recipients=(MIDNA["email"],)), back)
    await it.sandbox.inbound(ZELDA["phone"], "STOP", f"{it.web_url}/twilio/inbound")
    async with it.client.post(it.link_in_mail_to(ZELDA["email"]), data=ONE_CLICK) as answer:
        assert answer.status == 200
    await asyncio.gather(
        heard_of(it, "s-ganon", Complained), heard_of(it, "s-midna", Bounced), heard_of(it, "s-zelda", Stopped)
    )
    await it.system.publish("INC-1", IncidentUpdated(summary="It goes on."), start=1)
    await it.system.all_settled(7 + 4)  # by mail alone: an update is no text message


async def pushed(it: Whole, ids: tuple[str, ...]) -> None:
    """Time passes for the broker: as the declared ten minutes would, a later record closes each key's segment."""
    from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

    from pipeline.broker import connect

    async with connect.open_admin(it.system.settings) as admin:
        config = {**topics.SUBSCRIBER_KEYS.config(), "segment.ms": "1"}
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topics.SUBSCRIBER_KEYS.name, config)])
    for partition in range(it.system.settings.partitions):
        await it.system.write(Outgoing(topics.SUBSCRIBER_KEYS.name, b"/nobody", None, partition=partition))

    async def gone() -> bool:
        keys = await it.system.read(topics.SUBSCRIBER_KEYS)
        return not any(record.value is not None and (record.key or b"").decode() in ids for record in keys)

    await eventually(gone, 90, "the broker has compacted")


async def everything_is_sealed(it: Whole) -> None:
    async def sealed() -> bool:
        found = [codec.decode(r, AuditEntry).data for r in await it.system.read(topics.AUDIT_LOG)]
        return sum(entry.record_type == Erased.TYPE for entry in found) >= 4

    await eventually(sealed, 30, f"each erasure is an entry; record says: {it.system.log('record')}")


@pytest.mark.slow
async def test_nothing_that_is_kept_says_who_was_erased_and_every_proof_holds(tmp_path: Path) -> None:
    archive = {"TOCSIN_ARCHIVE": str(tmp_path / "archive")}
    env = {"TOCSIN_MAIL_RETURN_PATH": RETURN_PATH, "TOCSIN_BOUNCE_PORT": "0", **archive}
    ids = ("s-zelda", "s-ganon", "s-midna", "s-phone", "s-impa")
    async with whole(tmp_path, **env) as it:
        await a_life_in_the_system(it)
        before = "\n".join(opened(await all_bytes(it), it.system.vault, ids))
        assert ZELDA["webhook_url"] in before, "the attack works while the key is there"
        assert (await said(it, "rebuild"))[0] == 0
        for who in (ZELDA["email"], "s-ganon", MIDNA["phone"]):
            status, shown = await said(it, "subscribers", "erase", who, "--yes")
            assert status == 0, shown
        status, shown = await said(it, "subscribers", "erasure", "s-zelda")
        assert status == 1
        assert "/Messages/SM" in shown
        await pushed(it, ids[:4])
        assert (await said(it, "subscribers", "erasure", "s-zelda"))[0] == 0
        await everything_is_sealed(it)
        # They hear nothing, and a record says why they were not told of the end; no file brings them back.
        await it.system.publish("INC-1", IncidentResolved(summary="It is over."), start=2)
        found = await it.system.all_settled(7 + 4 + 7)
        assert found.reasons["erased"] == 5
        assert await refused_again(it)
        assert (await said(it, "rebuild"))[0] == 0
        status, shown = await said(it, "audit", "verify")
        assert status == 0, shown
        status, shown = await said(it, "replay", "INC-1")
        assert status == 0, shown
        assert not found_in(shown.encode(), GONE)
        logged = await all_bytes(it)
        assert not found_in(logged, GONE)
        assert not hashed_in(logged, GONE)
        after = "\n".join(opened(logged, it.system.vault, ids))
        assert IMPA["email"] in after
        assert not found_in(after.encode(), GONE)
        vault = it.system.vault
        # Beside the running embedded broker there is a copy of what it may lose; it goes with an orderly stop.
        spare = b"".join(path.read_bytes() for path in (tmp_path / "spare").iterdir())
        assert IMPA["email"] in "".join(opened(spare, vault, ids))
        assert not found_in(spare, GONE)
        assert not found_in("\n".join(opened(spare, vault, ids)).encode(), GONE)
    kept = {path.relative_to(tmp_path): searchable(path) for path in tmp_path.rglob("*") if path.is_file()}
    assert {path.parts[0] for path in kept} >= {"broker", "audit", "deliver", "archive", "projection", "logs", "run"}
    for path, content in kept.items():
        assert not found_in(content, GONE), path
        assert not hashed_in(content, GONE), path
        assert not found_in("\n".join(opened(content, vault, ids)).encode(), GONE), path
    files = {path.parts[0] for path, content in kept.items() if IMPA["email"] in "".join(opened(content, vault, ids))}
    assert files == {"broker", "deliver"}, "the search would have found them there"


async def refused_again(it: Whole) -> bool:
    from pipeline.commands.subscribing.writing import read_roster

    lines = [{"audiences": ["customers"], "email": one["email"]} for one in (ZELDA, GANON, MIDNA)]
    numbered = [Numbered(number, line) for number, line in enumerate(lines)]
    roster = await read_roster(it.system.settings)
    planned = list(plan_import(numbered, roster, it.system.vault, now(), Terms(confirm=True)))
    tokens = [set(roster.subscribers[name].address_tokens) for name in ("s-zelda", "s-ganon")]
    assert tokens[0] >= {Channel.EMAIL, Channel.SMS}
    assert tokens[1] == {Channel.EMAIL}
    return all(one.refused is not None and "at their wish" in one.refused for one in planned)


async def all_bytes(it: Whole) -> bytes:
    """Every byte of every record of every topic."""
    found = []
    for topic in topics.ALL:
        for record in await it.system.read(topic):
            headers = (name.encode() + b"=" + value for name, value in record.headers)
            found.append(b"\n".join([record.key or b"", record.value or b"", *headers]))
    return b"\n".join(found)


def test_the_search_would_find_a_hash_that_takes_no_key() -> None:
    digest = hashlib.sha256(GANON["email"].encode()).hexdigest()
    assert hashed_in(json.dumps({"a": digest}).encode(), (GANON["email"],))
