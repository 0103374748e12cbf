"""Back-tests to test with: a policy, an incident told in minutes, and what comes of it."""

from datetime import UTC, datetime, timedelta
from functools import cache

from pipeline.policy import Policy
from pipeline.recorded import RecordedEvent
from pipeline.replay.backtest import Trial
from pipeline.replay.census import example
from pipeline.replay.measure import measured
from pipeline.replay.past import Past
from pipeline.replay.rerun import Conditions, Rerun, rerun
from pipeline.replay.results import Prices, Result
from pipeline.replay.sources import policy_called
from schemas.base import Severity, State
from schemas.incident import Consequences, Contact, IncidentEvent, IncidentOpened, IncidentResolved, IncidentUpdated

BEGAN = datetime(2026, 3, 4, 9, tzinfo=UTC)
"""A Wednesday morning."""
FULL = {
    "contact": Contact(name="Service desk", reach="desk@example.com"),
    "consequences": Consequences(now="Searches take 20 seconds.", lasting="none", data_loss="none"),
}


def at(minutes: float) -> datetime:
    return BEGAN + timedelta(minutes=minutes)


def opened(severity: Severity = Severity.MAJOR) -> IncidentOpened:
    return IncidentOpened(
        title="Search is slow", severity=severity, state=State.INVESTIGATING, components=("Search",),
        summary="Searches take 20 seconds.", **FULL,
    )  # fmt: skip


def news(text: str) -> IncidentUpdated:
    return IncidentUpdated(summary=text)


def over() -> IncidentResolved:
    return IncidentResolved(summary="Search works again.", **FULL)


def past(*said: tuple[float, IncidentEvent], incident: str = "search-1") -> Past:
    return Past(
        incident,
        tuple(
            RecordedEvent(incident, at(minutes), event, f"{incident}-{number}")
            for number, (minutes, event) in enumerate(said)
        ),
    )


QUIET_PAST = past((0, opened()), (300, news("The index is rebuilt.")), (330, over()))
"""A large incident of which the team says nothing for five hours."""


@cache
def policy(name: str = "small-saas") -> Policy:
    return policy_called(name)


def conditions(name: str = "small-saas", approvals: timedelta | None = None) -> Conditions:
    return Conditions(policy(name), example(policy(name)), approvals)


def run(one: Past, given: Conditions | None = None) -> Rerun:
    return rerun(one, given or conditions())


def result(one: Past, given: Conditions | None = None) -> Result:
    under = given or conditions()
    return measured(rerun(one, under), under, Prices())


def trial(name: str = "small-saas") -> Trial:
    return Trial(conditions(name), Prices())
