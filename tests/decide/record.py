"""Records journals anew: `python -m tests.decide.record`. Only after a change of words or rules that is meant.

Plays the incidents that ship, with the clock calling in between, and one odd story of its own, and keeps the journals
beside the policy they were decided under. `test_replay.py` decides them again and wants the same bytes. For breadth,
stories of the machine are recorded beside them (`machine_stories.py`).
"""

import json
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

from pipeline import policy
from pipeline.recorded import RecordedEvent, read_file
from schemas.base import Severity, State
from schemas.incident import (
    Consequences,
    ImpactChanged,
    IncidentEvent,
    IncidentReopened,
    IncidentResolved,
    IncidentUpdated,
    ReviewPublished,
)
from schemas.journal import JournalEntry
from tests.decide import machine_stories
from tests.decide.stories import START, Story, given
from tests.paths import REPOSITORY

JOURNALS = Path(__file__).parent / "journals"
POLICIES = JOURNALS / "policies"
ODD: tuple[tuple[int, IncidentEvent], ...] = (
    (0, IncidentUpdated(title="Größenwahn & <b>Söhne</b> {{7*7}}", summary="{{unsubscribe}} ' \" 🔥")),
    (5, ImpactChanged(severity=Severity.NONE, next_update_at=START + timedelta(minutes=30))),
    (60, IncidentUpdated(severity=Severity.MAJOR, ownership="We did it.", internal_notes="Not for outside.")),
    (61, IncidentUpdated(severity=Severity.MAJOR)),
    (90, IncidentResolved(consequences=Consequences(lasting="none"))),
    (95, IncidentResolved()),
    (99, IncidentReopened(state=State.MONITORING)),
    (120, IncidentResolved(summary="Over at last.", ended_at=START)),
    (130, IncidentUpdated(consequences=Consequences(lasting="Three orders were lost."))),
    (4000, ReviewPublished(review="Line one.\n\nLine two.")),
)


def journal(incident: str, events: Iterable[RecordedEvent]) -> list[JournalEntry]:
    """The journal of one incident, the clock calling whenever something is due, and for a day after the last event."""
    story = Story(incident)
    for number, event in enumerate(events):
        story.passes((event.at - story.now).total_seconds() / 60)
        story.take_input(given(event.event, number, event.at, virtual=True, occurred_at=event.at))
    story.passes(24 * 60)
    return [decided.entry for decided in story.decided]


def odd() -> list[RecordedEvent]:
    """A story that no good upstream would tell."""
    return [
        RecordedEvent("odd-1", START + timedelta(minutes=minutes), event, f"odd-{minutes}") for minutes, event in ODD
    ]


def main() -> None:
    """Writes every journal, and the policy they name."""
    POLICIES.mkdir(parents=True, exist_ok=True)
    for old in [*JOURNALS.glob("*.jsonl"), *POLICIES.glob("*.json")]:
        old.unlink()
    for path in sorted((REPOSITORY / "deploy" / "incidents").glob("*.json")):
        _write(path.stem, read_file(path))
    _write("odd", odd())
    machine_stories.write()
    published = policy.load(REPOSITORY / "deploy" / "policies" / "small-saas")
    text = json.dumps(published.model_dump(mode="json"), indent=1, ensure_ascii=False)
    (POLICIES / f"{published.hash}.json").write_text(text + "\n", encoding="utf-8")


def _write(name: str, events: list[RecordedEvent]) -> None:
    lines = [entry.model_dump_json() + "\n" for entry in journal(events[0].incident, events)]
    (JOURNALS / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
