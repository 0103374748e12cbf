import json
from html.parser import HTMLParser

import aiohttp
import aiosmtplib
from twilio.rest import Client

from pipeline.sandbox import Sandbox
from tests.paths import CORPUS, needs_corpus
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
    message.get_payload()[1].set_content('<p class="a">Down & "out"</p><script>alert(1)</script>', subtype="html")
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


@needs_corpus
async def test_hostile_strings_stay_text_in_every_place(
    sandbox: Sandbox, http: aiohttp.ClientSession, twilio: Client
) -> None:
    before = set((await inbox(sandbox, http)).tags)
    strings = json.loads((CORPUS / "vectors" / "hostile-strings.json").read_text())
    hostile = [text for text in strings if "<" in text or '"' in text][:60]
    assert len(hostile) == 60
    for text in hostile:
        raw = f"Subject: {' '.join(text.split())}\r\n\r\n{text}\r\n".encode("utf-8", "replace")
        async with aiosmtplib.SMTP(hostname="127.0.0.1", port=sandbox.smtp_port, start_tls=False) as client:
            await client.sendmail("a@example.com", ["b@example.com"], raw)
        await twilio.messages.create_async(to="+15551234567", from_="+15005550006", body=text)
    page = await inbox(sandbox, http)
    assert set(page.tags) - before <= {"details", "summary", "pre", "h3", "article", "strong", "time", "span"}
