"""The page of a proof as Chromium shows it: within the width, on a phone and on a desk, the words as they were said."""

import pytest

from pipeline.audit.proof_page import page
from tests.audit.test_proof import made
from tests.browser.chromium import browser, found
from tests.browser.shoot import DESKTOP, PHONE

pytestmark = [pytest.mark.slow, pytest.mark.skipif(found() is None, reason="needs Chromium")]


async def test_a_proofs_page_fits_its_window_and_shows_the_very_words():
    html = page(await made())
    async with browser() as chromium:
        for width in (PHONE, DESKTOP):
            seen = await chromium.show(html, width, dark=width == PHONE)
            assert seen.width == width, "nobody has to scroll sideways"
            assert "Since 13:00 CET searches take long." in seen.text
            assert "Suche langsam seit 13:00 CET [red]" in seen.text
