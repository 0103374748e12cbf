"""A Chromium that shows a page at a width, in light or dark, over its DevTools protocol."""

import asyncio
import base64
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
START_S = 30.0
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--remote-debugging-port=0",
)  # fmt: skip


def found() -> str | None:
    """The browser that is installed here, if any."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


@dataclass(frozen=True)
class Seen:
    """How a page came out: its picture (PNG), its size in CSS pixels, and its text as a reader sees it."""

    png: bytes
    width: int
    height: int
    text: str
    language: str


class Browser:
    """One tab of a running Chromium."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._number = 0

    async def show(self, html: str, width: int, dark: bool) -> Seen:
        """The page as it stands in a window of this width in CSS pixels, in its whole height."""
        await self._ask("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=True)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self._ask("Emulation.setEmulatedMedia", features=[scheme])
        tree = await self._ask("Page.getFrameTree")
        await self._ask("Page.setDocumentContent", frameId=tree["frameTree"]["frame"]["id"], html=html)
        size = await self.value("[document.documentElement.scrollWidth, document.documentElement.scrollHeight]")
        clip = {"x": 0, "y": 0, "width": width, "height": size[1], "scale": 1}
        shot = await self._ask("Page.captureScreenshot", format="png", clip=clip, captureBeyondViewport=True)
        text, language = await self.value("[document.body.innerText, document.documentElement.lang]")
        return Seen(base64.b64decode(shot["data"]), size[0], size[1], text, language)

    async def open(self, url: str) -> None:
        """Goes to an address; returns once it is loaded."""
        await self._loaded("Page.navigate", url=url)

    async def leave(self, expression: str) -> None:
        """Does what leads to another page; returns once that is loaded."""
        await self._loaded("Runtime.evaluate", expression=expression)

    async def _loaded(self, method: str, **parameters: Any) -> None:
        await self._ask("Page.enable")
        self._number += 1
        await self._socket.send_json({"id": self._number, "method": method, "params": parameters})
        async with asyncio.timeout(START_S):
            while (await self._socket.receive_json()).get("method") != "Page.loadEventFired":
                pass
        await self._ask("Page.disable")

    async def value(self, expression: str) -> Any:
        """What an expression comes to in the page."""
        result = await self._ask("Runtime.evaluate", expression=expression, returnByValue=True)
        return result["result"]["value"]

    async def _ask(self, method: str, **parameters: Any) -> Any:
        self._number += 1
        await self._socket.send_json({"id": self._number, "method": method, "params": parameters})
        while (answer := await self._socket.receive_json()).get("id") != self._number:
            pass  # events that nobody asked for
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        return answer["result"]


@asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    """A Chromium of its own, without any profile, that ends with the block."""
    program = found()
    if program is None:
        raise RuntimeError(f"none of {', '.join(NAMES)} is installed")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = await asyncio.create_subprocess_exec(
            program, *FLAGS, f"--user-data-dir={profile}", "about:blank",
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            async with asyncio.timeout(START_S):
                port = await _port(Path(profile) / "DevToolsActivePort")
            async with aiohttp.ClientSession() as session:
                tabs = await (await session.get(f"http://127.0.0.1:{port}/json/list")).json()
                page = next(tab for tab in tabs if tab["type"] == "page")
                async with session.ws_connect(page["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                    yield Browser(socket)
        finally:
            with suppress(ProcessLookupError):
                process.terminate()
            await process.wait()


async def _port(file: Path) -> int:
    while not (file.is_file() and file.read_text().strip()):
        await asyncio.sleep(0.05)
    return int(file.read_text().split()[0])
