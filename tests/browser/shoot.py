"""Pictures of typical mails for the docs folder: `python -m tests.browser.shoot [directory]`.

Needs Chromium; where `pngquant` is installed as well the pictures are made smaller by it.
"""

import asyncio
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.browser.chromium import browser
from tests.decide.compose.notices import mail
from tests.paths import REPOSITORY

PHONE, DESKTOP = 375, 800
"""Widths in CSS pixels."""


@dataclass(frozen=True)
class Picture:
    """One mail, as one reader sees it."""

    file: str
    notice: str
    language: str
    zone: str
    width: int
    dark: bool


PICTURES = (
    Picture("opened-phone-dark", "opened", "en", "America/New_York", PHONE, True),
    Picture("opened-desktop-light", "opened", "en", "UTC", DESKTOP, False),
    Picture("unchanged-phone-light", "unchanged", "en", "Europe/Berlin", PHONE, False),
    Picture("resolved-german-phone-light", "resolved", "de", "Europe/Berlin", PHONE, False),
    Picture("resolved-german-desktop-dark", "resolved", "de", "Europe/Berlin", DESKTOP, True),
    Picture("correction-desktop-light", "correction", "en", "Europe/Berlin", DESKTOP, False),
)


async def shoot(directory: Path) -> None:
    """Every picture, as a PNG of its name."""
    directory.mkdir(parents=True, exist_ok=True)
    async with browser() as chromium:
        for picture in PICTURES:
            content = mail(picture.notice, picture.language, picture.zone)
            seen = await chromium.show(content.html, picture.width, picture.dark)
            (directory / f"{picture.file}.png").write_bytes(_smaller(seen.png))


def _smaller(png: bytes) -> bytes:
    quantiser = shutil.which("pngquant")
    if quantiser is None:
        return png
    return subprocess.run([quantiser, "--strip", "--speed", "1", "48", "-"], input=png, stdout=-1, check=True).stdout


if __name__ == "__main__":
    asyncio.run(shoot(Path(sys.argv[1]) if len(sys.argv) > 1 else REPOSITORY / "docs" / "mail"))
