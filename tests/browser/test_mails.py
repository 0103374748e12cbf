"""Mails as Chromium shows them: within the width, readable in light and dark, the same words as the text part."""

import pytest

from tests.browser.chromium import browser, found
from tests.browser.shoot import DESKTOP, PHONE
from tests.decide.compose.notices import STORY, mail

pytestmark = [pytest.mark.slow, pytest.mark.skipif(found() is None, reason="needs Chromium")]


async def test_every_mail_fits_its_window_and_says_in_it_what_its_text_part_says():
    async with browser() as chromium:
        for name in STORY:
            for language in ("en", "de"):
                content = mail(name, language, "Europe/Berlin")
                for width in (PHONE, DESKTOP):
                    seen = await chromium.show(content.html, width, dark=False)
                    assert seen.width == width, "nobody has to scroll sideways"
                    assert seen.language == language
                    text = content.text.replace("\n-- \n", "\n").rpartition(": {{")[0]
                    assert seen.text.casefold().split() == text.casefold().split()


async def test_the_dark_looks_other_than_the_light():
    async with browser() as chromium:
        page = mail("opened", "en", "UTC").html
        light, dark = [await chromium.show(page, PHONE, dark=dark) for dark in (False, True)]
    assert light.png != dark.png
    assert (light.text, light.height) == (dark.text, dark.height)
