"""Notices on their way: those of an entry travel together, lane by lane, and none is ever too large to travel."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline.decide.notices import TOGETHER_BYTES, together
from schemas.base import Lane, Level
from schemas.notice import Notice
from schemas.rendering import EmailContent, rendering_of
from tests.deliver.given import notice


def sized(number: int, lane: Lane, octets: int) -> Notice:
    content = EmailContent(subject="s", text="x" * max(1, octets), html="h")
    words = (rendering_of("en", Level.CUSTOMER, content),)
    return notice(f"audience-{number}", lane=lane, renderings=words)


LANES = st.sampled_from(Lane)
SIZES = st.integers(0, TOGETHER_BYTES * 2)


@given(st.lists(st.tuples(LANES, SIZES), max_size=8))
def test_every_notice_travels_once_in_its_lane_and_in_its_order(given_: list[tuple[Lane, int]]) -> None:
    notices = [sized(number, *one) for number, one in enumerate(given_)]
    records = list(together(notices))
    for lane in Lane:
        told = [one for of, record in records if of is lane for one in record.notices]
        assert told == [one for one in notices if one.lane is lane]


@given(st.lists(st.tuples(LANES, SIZES), max_size=8))
def test_what_travels_together_is_small_or_alone(given_: list[tuple[Lane, int]]) -> None:
    notices = [sized(number, *one) for number, one in enumerate(given_)]
    for _, record in together(notices):
        size = sum(len(one.model_dump_json().encode()) for one in record.notices)
        assert size <= TOGETHER_BYTES or len(record.notices) == 1


@given(st.lists(LANES, min_size=1, max_size=8))
def test_small_ones_of_a_lane_are_one_record(lanes: list[Lane]) -> None:
    notices = [sized(number, lane, 10) for number, lane in enumerate(lanes)]
    assert [lane for lane, _ in together(notices)] == list(dict.fromkeys(lanes))
