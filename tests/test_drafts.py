"""What waits for approval and what was told, as the journal says."""

import pytest

from pipeline import authority
from pipeline.drafts import Board
from pipeline.errors import NotFound
from schemas.journal import (
    Decision,
    DraftApproved,
    DraftVoided,
    FieldReleased,
    FieldWithheld,
    JournalEntry,
    NoticeKind,
)
from tests.entries import decided, entry, held


def board(*entries: JournalEntry) -> Board:
    found = Board()
    for one in entries:
        found.apply(one)
    return found


def approved(by: str, missing: str = "") -> DraftApproved:
    return DraftApproved(draft="d1aaaaaa", audience="customers", by=by, missing=missing)


def test_a_held_notice_waits_with_the_title_of_its_incident() -> None:
    found = board(entry(title="Search is slow"), entry(held(), seq=2))
    [draft] = found.waiting()
    assert (draft.id, draft.incident, draft.title, draft.seq, draft.whom) == (
        "d1aaaaaa", "INC-1", "Search is slow", 2, "customers",
    )  # fmt: skip
    assert found.waiting("INC-1") == [draft]
    assert found.waiting("INC-2") == []


def test_it_is_known_who_approved_and_what_is_missing() -> None:
    found = board(entry(held()), entry(approved("ann", "one more person"), seq=2), entry(approved("ann"), seq=3))
    [draft] = found.waiting()
    assert (draft.approved_by, draft.missing) == (("ann",), "")


@pytest.mark.parametrize(
    ("decision", "fate"),
    [
        (DraftVoided(draft="d1aaaaaa", audience="customers", reason="rejected by ann"), "rejected by ann"),
        (decided(draft="d1aaaaaa"), "it went out"),
    ],
)
def test_what_went_out_or_was_voided_waits_no_more(decision: Decision, fate: str) -> None:
    found = board(entry(held()), entry(decision, seq=2))
    assert found.waiting() == []
    with pytest.raises(NotFound, match=f"draft d1aaaaaa waits no more: {fate}"):
        found.find("d1aa")


def test_a_notice_that_was_no_draft_leaves_drafts_alone() -> None:
    assert len(board(entry(held(), decided("executives"))).waiting()) == 1


def test_of_two_entries_with_one_number_the_first_counts() -> None:
    found = Board()
    assert found.apply(entry(held()))
    assert not found.apply(entry(held("d2bbbbbb")))
    assert not found.apply(entry(held("d3cccccc"), seq=3))
    assert [draft.id for draft in found.waiting()] == ["d1aaaaaa"]


def test_a_draft_is_called_by_the_beginning_of_its_id_where_that_is_enough() -> None:
    found = board(entry(held("aaaa1111"), held("aaaa2222", "public")), entry(held("bbbb1111"), incident="INC-2"))
    assert found.find("aaaa1").id == "aaaa1111"
    for name, told in (("aaaa", "2 drafts begin with aaaa"), ("bbb", "there is no draft bbb"), ("", "there is no")):
        with pytest.raises(NotFound, match=told):
            found.find(name)


def test_a_field_waits_with_its_text_until_it_is_released() -> None:
    content = authority.text_content("The mistake was ours.")
    withheld = FieldWithheld(field="ownership", reason="r", draft="f1aaaaaa", content=content, needs="legal")
    found = board(entry(withheld, ownership="The mistake was ours."))
    [draft] = found.waiting()
    assert (draft.whom, draft.text, draft.content) == ("ownership", "The mistake was ours.", content)
    found.apply(entry(FieldReleased(field="ownership", draft="f1aaaaaa", by="ann"), seq=2))
    assert found.waiting() == []


def test_a_field_that_is_said_otherwise_takes_the_place_of_the_one_that_waits() -> None:
    first, second = (
        FieldWithheld(field="ownership", reason="r", draft=draft, content="0" * 64, needs="legal")
        for draft in ("f1aaaaaa", "f2bbbbbb")
    )
    found = board(entry(first, ownership="a"), entry(second, seq=2, facts={"ownership": "b"}))
    assert [(draft.id, draft.text) for draft in found.waiting()] == [("f2bbbbbb", "b")]


def test_a_field_that_nobody_can_approve_is_no_draft() -> None:
    assert board(entry(FieldWithheld(field="next_update_at", reason="its time has passed"))).waiting() == []


@pytest.mark.parametrize("data", [{}, {"ownership": 7}, {"facts": None}, {"facts": []}, {"ownership": None}])
def test_a_field_whose_text_is_not_there_has_none(data: dict[str, object]) -> None:
    withheld = FieldWithheld(field="ownership", reason="r", draft="f1aaaaaa", content="0" * 64, needs="legal")
    [draft] = board(entry(withheld, **data)).waiting()
    assert draft.text is None


def test_what_an_entry_told_is_found_and_else_it_is_said_which_ones_told_something() -> None:
    told = decided(), decided("public", kind=NoticeKind.IMPACT_CHANGED)
    found = board(entry(), entry(*told, seq=2))
    assert found.notices("INC-1", 2) == (2, told)
    for seq, message in ((1, r"entry 1 of INC-1 told nobody anything.*2 \(opened, impact changed\)"),
                         (None, r"which entry is it\?.*2 \(opened")):  # fmt: skip
        with pytest.raises(NotFound, match=message):
            found.notices("INC-1", seq)
    with pytest.raises(NotFound, match="none"):
        found.notices("INC-2", 1)
