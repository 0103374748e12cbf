"""What a level of detail may see is decided by the marks on the wire, and by nothing else."""

import pytest

from pipeline.decide.view import MARKS, Known, plain, view, visible_fields
from schemas.base import Level
from schemas.incident import EVENTS, Consequences, Contact, Facts, Translation


def test_every_field_of_every_event_is_known_and_marked():
    fields = {name for event in EVENTS for name in event.model_fields} | set(Facts.model_fields)
    assert fields <= set(Known.model_fields) == set(MARKS)
    assert set(Known.model_fields) - fields == {"explanation", "held_since", "earlier"}, "what no event says"


def test_a_field_means_the_same_in_every_event():
    for event in EVENTS:
        for name, field in event.model_fields.items():
            assert MARKS[name] in field.metadata, f"{event.__name__}.{name} is marked otherwise than Known.{name}"


def test_a_field_that_a_level_may_not_see_is_not_there_at_all():
    known = Known(technical_detail="Shard 7.", internal_notes="Ask Bob.", contact=Contact(name="M", reach="m@x.org"))
    assert "technical_detail" in view(known, Level.TECHNICAL, {})
    assert "internal_notes" in view(known, Level.INTERNAL, {})
    for level in (Level.PUBLIC, Level.CUSTOMER, Level.EXECUTIVE):
        assert not {"technical_detail", "internal_notes"} & view(known, level, {}).keys()
    assert "contact" not in view(known, Level.PUBLIC, {})


@pytest.mark.parametrize("level", list(Level))
def test_what_needs_an_approval_is_seen_by_nobody(level):
    assert "ownership" not in visible_fields(level, {})
    assert "root_cause" not in visible_fields(level, {"root_cause": "legal"})


def test_what_was_approved_is_seen_by_those_it_is_for():
    assert "ownership" in visible_fields(Level.CUSTOMER, {}, frozenset({"ownership"}))
    assert "internal_notes" not in visible_fields(Level.CUSTOMER, {}, frozenset({"internal_notes"}))
    seen = view(Known(ownership="Our mistake."), Level.CUSTOMER, {}, frozenset({"ownership"}))
    assert seen["ownership"] == "Our mistake."


def test_a_view_is_plain_data_that_cannot_stand_for_the_recipients_link():
    seen = view(Known(title="{{unsubscribe}}", consequences=Consequences(now="a {{unsubscribe}}")), Level.PUBLIC, {})
    assert seen["title"] == "{{ unsubscribe }}"
    assert seen["consequences"] == {"now": "a {{ unsubscribe }}", "expected": None, "lasting": None, "data_loss": None}


def test_within_what_is_seen_each_part_is_seen_by_those_it_is_for():
    texts = (Translation(summary="Karten gehen nicht.", technical_detail="Shard 7."),)
    for level, seen in ((Level.CUSTOMER, False), (Level.TECHNICAL, True)):
        [shown] = plain(texts, level)
        assert shown["summary"] == "Karten gehen nicht."
        assert ("technical_detail" in shown) is seen
    assert plain(texts, None) == [{}]


def test_what_is_no_plain_data_is_never_shown():
    with pytest.raises(TypeError, match=r"^a int cannot be shown$"):
        plain(7, Level.INTERNAL)
