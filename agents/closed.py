"""What is closed is told to nobody any more: the records by which one would know whom it was told to may be gone."""

from agents.deadletters import DeadLetters
from agents.lanes import Handle
from schemas import codec, topics
from schemas.base import Lane, Message
from schemas.codec import Record, Undecodable
from schemas.delivery import DeliveryBatch
from schemas.journal import Closed

NOTICES = frozenset(topics.notices(lane).name for lane in Lane)


class ClosedIncidents:
    """The incidents that were closed, for those who fan out and send."""

    def __init__(self, dead: DeadLetters) -> None:
        self._dead = dead
        self._closed: set[bytes] = set()

    def heard(self, record: Record) -> None:
        """Folds a record of `incidents.closed`."""
        try:
            self._closed.add(codec.decode(record, Closed).data.incident.encode())
        except Undecodable:
            return  # nothing of ours: whom it would close nobody can say

    def but_closed(self, handle: Handle) -> Handle:
        """`handle`, but for what a closed incident would tell afresh: that becomes a dead letter."""

        async def handle_open(record: Record) -> bool:
            if codec.subject_of(record) in self._closed and _tells_afresh(record):
                said = (
                    "its incident ended long ago and is closed: whom it was told to is in the log, and no longer here"
                )
                await self._dead.bury(record, Undecodable("incident_closed", said))
                return True
            return await handle(record)

        return handle_open


def _tells_afresh(record: Record) -> bool:
    """A turn after the first goes on with what is on record, and where that is gone it comes to nothing (`admit`)."""
    if record.topic in NOTICES:
        return True
    try:
        event = codec.decode(record, Message)
    except Undecodable:
        return False  # it comes to its own dead letter
    return isinstance(event.data, DeliveryBatch) and event.data.attempt == 1
