import json
from html.parser import HTMLParser

import aiohttp
import aiosmtplib
from twilio.rest import Client

from pipeline.sandbox import Sandbox
from tests.paths import CORPUS, needs_corpus
from tests.sandbox.conftest import RewritingSession, x_client
from tests.sandbox.test_smtp import letter


class Page(HTMLParser):
    """The elements of a page and the attributes of its frames."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.frames: list[dict[str, str | None]] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "iframe":
            self.frames.append(dict(attrs))

    def handle_data(self, data: str) -> None:
        self.words += data


async def inbox(sandbox: Sandbox, http: aiohttp.ClientSession) -> Page:
    async with http.get(sandbox.inbox_url) as response:
        assert response.status == 200
        assert "default-src 'none'" in response.headers["Content-Security-Policy"]
        return Page(await response.text())


async def test_an_empty_inbox_says_so(sandbox: Sandbox, http: aiohttp.ClientSession) -> None:
    page = await inbox(sandbox, http)
    for words in ("No mail yet.", "No SMS yet.", "No post yet.", "None is armed"):
        assert words in page.words


async def test_a_mails_html_stands_in_a_frame_that_may_do_nothing(
    sandbox: Sandbox, http: aiohttp.ClientSession
) -> None:
    message = letter()
    _, part = message.iter_parts()
    part.set_content('<p class="a">Down & "out"</p><script>alert(1)</script>', subtype="html")
    await aiosmtplib.send(message, hostname="127.0.0.1", port=sandbox.smtp_port, start_tls=False)
    page = await inbox(sandbox, http)
    (frame,) = page.frames
    assert frame["sandbox"] == ""
    assert (frame["srcdoc"] or "").strip() == '<p class="a">Down & "out"</p><script>alert(1)</script>'
    assert "script" not in page.tags
    assert "Störung: checkout" in page.words


async def test_what_failed_and_what_was_never_answered_is_shown(
    sandbox: Sandbox, http: aiohttp.ClientSession, twilio: Client
) -> None:
    sandbox.fault("twilio", "undelivered")
    sandbox.fault("x", "html", times=None)
    await twilio.messages.create_async(to="+15551234567", from_="+15005550006", body="Checkout is down.")
    await sandbox.wait_for(lambda: sandbox.texts[0].error_code)
    page = await inbox(sandbox, http)
    assert "queued → sending → sent → undelivered" in page.words
    assert "(error 30005)" in page.words
    assert "until cleared" in page.words


async def fill(sandbox: Sandbox, texts: list[str]) -> None:
    """Mails and posts that say each of these in every place that a sender can fill."""
    client = aiosmtplib.SMTP(hostname="127.0.0.1", port=sandbox.smtp_port, start_tls=False)
    async with client, RewritingSession() as session:
        session.base = sandbox.x_url
        for number, text in enumerate(texts):
            line = " ".join(text.split())
            raw = f"Subject: {line}\r\nX-Own: {line}\r\nContent-Type: text/html\r\n\r\n{text}\r\n"
            await client.sendmail("a@example.com", ["b@example.com"], raw.encode("utf-8", "replace"))
            await x_client(session).create_tweet(text=f"{number} {text[:100]}")


@needs_corpus
async def test_hostile_strings_stay_text_in_every_place(http: aiohttp.ClientSession) -> None:
    strings = json.loads((CORPUS / "vectors" / "hostile-strings.json").read_text())
    hostile = [text for text in strings if "<" in text or '"' in text][:60]
    tags = []
    for texts in (["harmless"] * 60, hostile):
        async with Sandbox() as sandbox:
            await fill(sandbox, texts)
            page = await inbox(sandbox, http)
            assert all(frame["sandbox"] == "" for frame in page.frames)
            tags.append(page.tags)
    assert tags[0] == tags[1]
    assert tags[0].count("iframe") == tags[0].count("article") == 60
