"""The report as Chromium shows it: within the width of desk and phone, in light and dark."""

from datetime import UTC, datetime

import pytest

from pipeline.honesty.figures import Reach, Told, figures
from pipeline.honesty.page import page
from pipeline.replay.measure import story_of
from tests.browser.chromium import browser, found
from tests.browser.shoot import DESKTOP, PHONE
from tests.projection.made import run

pytestmark = [pytest.mark.slow, pytest.mark.skipif(found() is None, reason="needs Chromium")]
NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)


async def test_the_report_fits_its_window_in_light_and_dark() -> None:
    story = story_of(run().past, [(turn.entry, turn.after) for turn in run().turns])
    reach = {"email": Reach(100_000, 98_000, 500, 1_000, 200, 100, 200, 300), "sms": Reach(1_000, 900, 100)}
    html = page(figures([Told(NOW, story, reach, {"customers": 90.0})], None, NOW, 12_345))
    async with browser() as chromium:
        for width in (PHONE, DESKTOP):
            light, dark = [await chromium.show(html, width, dark=dark) for dark in (False, True)]
            assert light.width == width, "nobody has to scroll sideways"
            assert light.png != dark.png
            assert "How people were told" in light.text
            assert "98,000" in light.text
