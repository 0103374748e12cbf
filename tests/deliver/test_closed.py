"""What would tell of a closed incident afresh is refused before anybody looks at the ledger; all else goes its way."""

from typing import Any, cast

import pytest

from agents.closed import ClosedIncidents
from schemas import codec, topics
from schemas.base import Lane, Message
from schemas.codec import Outgoing, Record, Undecodable
from schemas.journal import Closed
from tests.deliver.given import AT, EMAIL, batch, notice, told

FIRST = topics.deliveries(EMAIL, Lane.FIRST)


class Buried:
    """Dead letters, in a list."""

    def __init__(self) -> None:
        self.reasons: list[str] = []

    async def bury(self, record: Record, error: Undecodable) -> None:
        self.reasons.append(error.reason)


def stands(outgoing: Outgoing) -> Record:
    return Record(outgoing.topic, 0, 0, AT, outgoing.key, outgoing.value, outgoing.headers)


def of(topic: topics.Topic, data: Message, incident: str) -> Record:
    return stands(codec.encode(topic, data, id="1", source="/tests", subject=incident))


@pytest.mark.parametrize(
    ("record", "refused"),
    [
        (stands(told(notice())), True),
        (stands(told(notice(incident="INC-2"))), False),
        (of(FIRST, batch(), "INC-1"), True),
        (of(FIRST, batch(attempt=2), "INC-1"), False),
        (of(FIRST, batch(), "INC-2"), False),
        (Record(FIRST.name, 0, 0, AT, b"INC-1", b"{", (("ce_subject", b"INC-1"),)), False),
    ],
)
async def test_only_a_first_turn_of_a_closed_incident_is_refused(record: Record, refused: bool) -> None:
    buried, handled = Buried(), list[Record]()
    incidents = ClosedIncidents(cast(Any, buried))
    incidents.heard(of(topics.INCIDENTS_CLOSED, Closed(incident="INC-1", seq=9, at=AT), "INC-1"))
    incidents.heard(Record(topics.INCIDENTS_CLOSED.name, 0, 1, AT, b"INC-2", b"{", ()))

    async def handle(one: Record) -> bool:
        handled.append(one)
        return False

    assert await incidents.but_closed(handle)(record) is refused
    assert buried.reasons == ["incident_closed"] * refused
    assert handled == [record] * (not refused)
