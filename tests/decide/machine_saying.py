"""What upstream may say: events of every type, each text with a mark in it that names its field, so that leaks show.

A strategy draws an event as plain data with gaps; the machine fills the gaps in, since a mark counts up and a moment
hangs on the clock of the example.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from schemas import incident as events
from schemas.base import Severity, State

MARK = re.compile(r"zq([a-z]+)q(\d+)z", re.IGNORECASE)
PHRASES = (
    "Some payments are declined @.",
    "It works again @. All is as before.",
    "We work on it @.",
    "@",
    "This was our fault @ and we will refund you.",
    "Our provider Acme broke it @.",
    "It will be fixed by 17:00 @.",
    "We suspect the database @.",
    "db-7.internal.example.com failed @.",
    "password=hunter2hunter2 @.",
    "{{7*7}} {% raw %} @",
    "</td><b>@</b>{{unsubscribe}} {{t0}}",
    "🔥 Größer @.\r\nBcc: x@example.com",
)


@dataclass(frozen=True)
class Minutes:
    """A moment, from the present of the example on."""

    after: int


TEXT = st.sampled_from(PHRASES)
MOMENT = st.sampled_from([-600, -45, -5, 1, 2, 4, 20, 35, 90, 240, 1500]).map(Minutes)
CONSEQUENCES = st.fixed_dictionaries(
    {}, optional={name: TEXT | st.just("none") for name in events.Consequences.model_fields}
)
_TEXTS = ("title", "summary", "workaround", "good_news", "technical_detail", "internal_notes", "ownership", "done",
          "planned", "root_cause")  # fmt: skip
SAID: dict[str, st.SearchStrategy[Any]] = {
    **dict.fromkeys(_TEXTS, TEXT),
    "severity": st.sampled_from(Severity),
    "state": st.sampled_from(State),
    "components": st.lists(st.sampled_from(["Cards", "cards-gw", "Refunds", "Vault", "@"]), max_size=3, unique=True),
    "regions": st.lists(st.sampled_from(["EU", "eu-west-1", "US", "@"]), max_size=2, unique=True),
    "consequences": CONSEQUENCES,
    "next_update_at": MOMENT,
    "contact": st.just({"name": "Mia @", "reach": "@"}),
    "crew": st.fixed_dictionaries({"who": TEXT}, optional={"until": MOMENT}),
    "began_at": MOMENT,
    "ended_at": MOMENT,
    "translations": st.fixed_dictionaries(
        {"de": st.fixed_dictionaries({}, optional={
            name: CONSEQUENCES if name == "consequences" else TEXT for name in events.Translation.model_fields
        })}
    ),
    "private_to": st.sampled_from([["@"], ["customers", "@"], ["executives", "partners", "@"]]),
}  # fmt: skip
"""Every field that any event may have, and what may stand in it."""
RARELY = {"private_to", "translations"}
MORE: dict[type[events.IncidentEvent], dict[str, st.SearchStrategy[Any]]] = {
    events.IncidentOpened: {"title": TEXT, "severity": st.sampled_from(Severity)},
    events.ImpactChanged: {"severity": st.sampled_from(Severity)},
    events.MilestoneReached: {"milestone": TEXT},
    events.ReviewPublished: {"review": TEXT},
    events.MaintenanceScheduled: {
        "title": TEXT,
        "starts_at": st.sampled_from([30, 90, 3000]).map(Minutes),
        "ends_at": st.sampled_from([3100, 4000]).map(Minutes),
    },
}
OFTEN = [name for name in SAID if name not in RARELY]


@st.composite
def said_events(draw: Callable[[Any], Any], types: tuple[type[events.IncidentEvent], ...] = events.EVENTS) -> Any:
    """The type of an event, and its data with gaps."""
    model = draw(st.sampled_from(types))
    names = draw(st.sets(st.sampled_from(OFTEN), max_size=4))
    if draw(st.integers(0, 3)) == 3:
        names |= {"ownership"}
    if draw(st.integers(0, 11)) == 11:
        names |= draw(st.sets(st.sampled_from(sorted(RARELY)), min_size=1))
    strategies = {name: SAID[name] for name in SAID if name in names} | MORE.get(model, {})
    return model, {name: draw(strategy) for name, strategy in strategies.items()}


@st.composite
def said_facts(draw: Callable[[Any], Any]) -> dict[str, Any]:
    """What a correction or an edit says, with gaps."""
    names = draw(st.sets(st.sampled_from(OFTEN), min_size=1, max_size=3))
    return {name: draw(SAID[name]) for name in SAID if name in names}


@dataclass
class Marks:
    """Which incident each mark was made for, and in which field: what a reader may see of it follows from that."""

    made: dict[int, tuple[str, str]] = field(default_factory=dict)

    def filled(self, data: dict[str, Any], incident: str, now: datetime) -> dict[str, Any]:
        """`data` with every gap filled in."""
        return {name: self._filled(value, name, incident, now) for name, value in data.items()}

    def text(self, phrase: str, name: str, incident: str) -> str:
        """One text."""
        if "@" not in phrase:
            return phrase
        number = len(self.made)
        self.made[number] = (incident, name)
        return phrase.replace("@", f"zq{name.replace('_', '')}q{number}z", 1)

    def _filled(self, value: Any, name: str, incident: str, now: datetime) -> Any:
        match value:
            case State() | Severity():
                return value.value
            case str():
                return self.text(value, name, incident)
            case Minutes():
                return now + timedelta(minutes=value.after)
            case list():
                return [self._filled(part, name, incident, now) for part in value]
            case dict() if name == "translations":
                return {language: self.filled(texts, incident, now) for language, texts in value.items()}
            case dict():
                return {key: self._filled(part, name, incident, now) for key, part in value.items()}
        raise TypeError(f"{value!r} has no gaps")

    def found(self, text: str) -> Iterator[tuple[int, str, str]]:
        """Every mark in a text: its number, the incident it was made for, its field."""
        for _, number in MARK.findall(text):
            yield int(number), *self.made[int(number)]
