"""What is kept of a million intents is small, and says what a dictionary of them would say."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from pipeline.deliver import works as module
from pipeline.deliver.index import Index
from pipeline.deliver.ledger import Ledger
from pipeline.deliver.roll import Roll
from pipeline.deliver.work import Step, Work
from pipeline.deliver.works import Works
from schemas.base import Channel
from schemas.ids import intent_id
from tests.deliver.given import AT, intended

IDS = [f"s{n}" for n in range(12)]
MOVES = st.lists(
    st.tuples(st.lists(st.sampled_from(IDS), min_size=1, max_size=8), st.integers(0, 3), st.booleans()), max_size=25
)


@given(MOVES, st.booleans())
def test_works_say_what_a_dictionary_would_say(moves, dense):
    plain: dict[str, Work] = {}
    roll = Roll()
    roll.numbers(IDS[:5])
    works = Works(roll)
    if dense:
        works._widen({})
    for recipients, attempt, again in moves:

        def advance(before: Work | None, attempt: int = attempt, again: bool = again) -> Work:
            return before if before is not None and again else Work(attempt, Step.INTENDED)

        moved = works.forward(recipients, advance)
        assert [roll.id(number) for number in moved.fresh] == list(
            dict.fromkeys(r for r in recipients if r not in plain)
        )
        for recipient in recipients:
            plain[recipient] = advance(plain.get(recipient))
        assert dict(works.items()) == plain
        assert len(works) == len(plain)
        assert sum(count for _, count in works.counted()) == len(plain)
        firsts = dict(works.standing(lambda work: work.attempt == 1))
        assert firsts == {r: work for r, work in plain.items() if work.attempt == 1}
    assert works.get("nobody") is None
    assert "nobody" not in works


def test_where_few_of_many_are_told_a_dictionary_holds_them_and_many_an_array(monkeypatch):
    monkeypatch.setattr(module, "SPARSE", 4)
    roll = Roll()
    everyone = [f"s{n}" for n in range(100)]
    roll.numbers(everyone)
    works = Works(roll)
    works.forward(everyone[:20], lambda _: Work(1, Step.INTENDED))
    assert works._sparse is not None
    works.forward(everyone[20:30], lambda _: Work(2, Step.INTENDED))
    assert works._sparse is None
    assert {work.attempt for work in works.values()} == {1, 2}
    works.forward(["newcomer"], lambda _: Work(3, Step.INTENDED))
    assert works["newcomer"].attempt == 3


def test_what_nobody_stands_at_any_more_is_not_kept():
    works = Works(Roll())
    for attempt in range(1000):
        works.forward(IDS, lambda _, attempt=attempt: Work(attempt, Step.ATTEMPTED))
    assert len(works._kinds) < 5


def test_an_intent_is_found_by_its_id_and_no_other_is_taken_for_it():
    ledger = Ledger()
    for seq in (1, 2):
        ledger.apply(intended(*IDS).model_copy(update={"seq": seq}))
    for seq in (1, 2):
        for recipient in IDS:
            found = ledger.intent(intent_id("INC-1", seq, recipient, Channel.EMAIL))
            assert found is not None
            assert (found[0].seq, found[1]) == (seq, recipient)
    begins_alike = intent_id("INC-1", 1, "s1", Channel.EMAIL)[:16] + "0" * 16
    assert ledger.intent(begins_alike) is None
    assert ledger.intent("no hexadecimal number") is None


def test_two_things_whose_keys_begin_alike_are_both_found():
    index = Index()
    index.add(2**63, 7)
    index.add(2**63 + 4096, 9)
    index.add(2**63, 8)
    assert list(index.find(2**63)) == [7, 8]
    assert list(index.find(1)) == []


def test_an_order_of_ids_is_kept_while_more_come():
    roll = Roll()
    roll.numbers(["b", "a"])
    assert roll.in_order() == ["a", "b"]
    assert roll.number("aa") == 2
    assert roll.in_order() == ["a", "aa", "b"]
    assert (roll.find("b"), roll.find("c")) == (0, None)


def test_work_that_is_late_is_found_once_its_time_is_past():
    works = Works(Roll())
    works.forward(["s1"], lambda _: Work(1, Step.ENDED, due=AT))
    late = dict(works.standing(lambda work: work.due is not None and work.due < AT + timedelta(seconds=1)))
    assert list(late) == ["s1"]
