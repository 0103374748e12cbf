"""What a notice costs: counted by language, level and zone, from above."""

import pytest

from pipeline.replay.costs import Cost, cost_of
from pipeline.replay.results import Prices
from schemas.base import Channel, Level
from schemas.census import AudienceCount
from schemas.journal import NoticeKind
from tests.replay.made import notice, post, sms

PRICES = Prices(sms=0.01, x=0.02, x_url=0.3)


def cost(count: AudienceCount | None, *renderings, zones=()) -> Cost:
    return cost_of(notice("customers", NoticeKind.OPENED, *renderings, zones=zones), count, PRICES)


def test_segments_are_paid_for_each_reader_of_text_messages() -> None:
    count = AudienceCount(total=100, channels={Channel.EMAIL: 100, Channel.SMS: 20})
    assert cost(count, sms(segments=2)) == Cost(2.0, 40.0, 0, False, 0.4)


def test_each_language_and_level_counts_by_how_many_read_it() -> None:
    by_language = AudienceCount(total=10, channels={Channel.SMS: 10}, languages={"en": 7, "de": 3})
    texts = (sms("a", 1, "en"), sms("b", 2, "de"))
    assert cost(by_language, *texts).texts == 13.0
    by_level = AudienceCount(total=10, channels={Channel.SMS: 10}, levels={Level.CUSTOMER: 5, Level.PUBLIC: 5})
    assert cost(by_level, sms("a", 1), sms("b", 2, level=Level.PUBLIC)).segments == 1.5


def test_a_language_that_nobody_is_known_to_read_counts_like_any_other() -> None:
    count = AudienceCount(total=4, channels={Channel.SMS: 4}, languages={"fr": 4})
    assert cost(count, sms("a", 1, "en"), sms("b", 3, "de")).segments == 2.0


def test_only_those_in_the_zones_of_a_notice_get_it() -> None:
    count = AudienceCount(total=10, channels={Channel.SMS: 10}, zones={"Asia/Tokyo": 2, "UTC": 8})
    assert cost(count, sms(), zones=("Asia/Tokyo",)).texts == 2.0


@pytest.mark.parametrize(("text", "total"), [("Slow.", 0.02), ("Slow: https://status.example.com", 0.3)])
def test_a_post_costs_more_with_a_link(text: str, total: float) -> None:
    found = cost(AudienceCount(total=1, channels={Channel.X: 1}), post(text))
    assert (found.posts, found.total) == (1, total)


def test_an_audience_that_nobody_counted_costs_one_post_and_no_text() -> None:
    assert cost(None, sms(), post()) == Cost(1.0, 0.0, 1, False, 0.02)
