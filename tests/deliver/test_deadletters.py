"""A dead letter fits into its topic, whatever it is made of."""

from datetime import UTC, datetime

from agents.deadletters import dead_letter
from pipeline.broker.connect import size_of
from pipeline.vault import Vault
from schemas import codec, topics
from schemas.codec import Record, Undecodable

AT = datetime(2026, 3, 1, 9, tzinfo=UTC)


def test_a_record_of_large_headers_key_and_value_still_becomes_a_dead_letter() -> None:
    huge = b"\xff" * 1_200_000
    record = Record(topics.INCIDENT_EVENTS.name, 0, 7, AT, huge, huge, (("small", b"kept"), ("ce_id", huge)))
    letter = dead_letter(record, Undecodable("too_large", "x" * 5000), "decide", Vault.of(b"s" * 32))
    outgoing = codec.encode(topics.DEAD_LETTERS, letter, id="1", source="/tests", key="k")
    assert size_of(outgoing) < topics.DEAD_LETTERS.max_message_bytes
    assert [name for name, _ in letter.headers] == ["small"]
    assert letter.size == len(huge)
