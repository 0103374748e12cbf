"""A past to trim: journals and delivery records as the rooms write them."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from pipeline.clock import now
from schemas import codec, topics
from schemas.base import Channel, Message, Severity
from schemas.codec import Outgoing
from schemas.command import Close
from schemas.delivery import DeliveriesEnded, DeliveriesIntended, Outcome, Result
from schemas.ids import derived
from schemas.incident import IncidentResolved, ReviewPublished
from schemas.journal import Closed, NoticeKind
from tests.decide.stories import Story
from tests.decide.test_story import opened

DAYS = 24 * 60
LATER = timedelta(days=100)
ROOM = "tocsin/tests"


def later() -> datetime:
    """A hundred days from now."""
    return now() + LATER


def ended(incident: str, close: bool = True) -> Story:
    """An incident that ended, and was closed."""
    story = Story(incident)
    story.take(opened(Severity.MINOR))
    story.ends(IncidentResolved(summary="A full disk was emptied."))
    story.take(ReviewPublished(review="The disk was too small."), after=3 * DAYS)
    story.passes(100 * DAYS)
    if close:
        story.take(Close(seq=story.state.seq), after=0)
    return story


def going_on(incident: str) -> Story:
    """An incident that is open."""
    story = Story(incident)
    story.take(opened())
    return story


def journal(story: Story) -> list[Outgoing]:
    """Its journal."""
    return [
        codec.encode(
            topics.INCIDENT_JOURNAL, one.entry, id=derived("journal", story.incident, one.entry.seq), source=ROOM,
            subject=story.incident, partition=0,
        )
        for one in story.decided
    ]  # fmt: skip


def closed(story: Story) -> Outgoing:
    """That it was closed."""
    said = Closed(incident=story.incident, seq=story.state.seq, at=story.now)
    return codec.encode(
        topics.INCIDENTS_CLOSED, said, id=f"closed-{story.incident}", source=ROOM, subject=story.incident
    )


def told(
    incident: str, result: Result | None = Result.ACCEPTED, recipients: Iterable[str] = ("s-1", "s-2")
) -> list[Outgoing]:
    """That it was told to these people, and how that ended; None: it has not."""
    of = {"batch_id": f"b-{incident}", "notice_id": f"n-{incident}", "incident": incident, "seq": 1, "at": now()}
    of |= {"channel": Channel.EMAIL}
    everyone = tuple(recipients)
    said: list[Message] = [
        DeliveriesIntended.model_validate(
            of | {"kind": NoticeKind.OPENED, "audience": "customers", "rendering": "0" * 64, "recipients": everyone}
        )
    ]
    if result is not None:
        outcomes = tuple(Outcome(recipient=one, result=result, reason="taken") for one in everyone)
        said.append(DeliveriesEnded.model_validate(of | {"attempt": 1, "outcomes": outcomes}))
    return [
        codec.encode(
            topics.DELIVERY_RECORDS_TOPIC, one, id=derived(incident, number), source=ROOM, subject=incident, partition=0
        )
        for number, one in enumerate(said)
    ]
