"""The form to sign up by as Chromium shows it and sends it: within the width, in light and dark, without a script."""

from pathlib import Path

import pytest

from pipeline.web import pages
from pipeline.web.words import SIGN_UP
from schemas.base import Channel
from tests.browser.chromium import browser, found
from tests.browser.shoot import DESKTOP, PHONE
from tests.web.conftest import serving, settings
from tests.web.test_signup import folded

pytestmark = [pytest.mark.slow, pytest.mark.skipif(found() is None, reason="needs Chromium")]
BOTH = (Channel.EMAIL, Channel.SMS)


async def test_the_form_fits_its_window_in_both_languages_and_shows_no_trap():
    async with browser() as chromium:
        for language in ("en", "de"):
            for width in (PHONE, DESKTOP):
                seen = await chromium.show(pages.sign_up("Acme", language, BOTH, {}, "email"), width, dark=False)
                assert seen.width == width, "nobody has to scroll sideways"
                assert seen.language == language
                for word in ("title", "email", "frequency", "button", "wrong email"):
                    assert SIGN_UP[language][word] in seen.text
        page = pages.sign_up("Acme", "en", BOTH)
        light, dark = [await chromium.show(page, PHONE, dark=dark) for dark in (False, True)]
    assert light.png != dark.png
    assert (light.text, light.height) == (dark.text, dark.height)


async def test_a_person_fills_it_in_and_is_asked_to_confirm(tmp_path: Path):
    async with serving(settings(tmp_path)) as service, browser() as chromium:
        await chromium.open(f"{service.url}/subscribe")
        assert await chromium.value("getComputedStyle(document.querySelector('button')).backgroundColor") == (
            "rgb(20, 70, 124)"
        ), "the policy lets the style in"
        box = await chromium.value("document.querySelector('.trap').getBoundingClientRect().right")
        assert box < 0, "nobody sees the trap"
        await chromium.value("document.querySelector('#email').value = 'ada@example.com'")
        await chromium.leave("document.querySelector('button').click()")
        assert await chromium.value("document.querySelector('h1').innerText") == SIGN_UP["en"]["sent title"]
        [ada] = folded(service.published).subscribers.values()
        assert ada.unconfirmed == (Channel.EMAIL,)
