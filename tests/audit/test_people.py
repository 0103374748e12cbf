"""What is said of many can be shown of one: a root over all of them, sealed right after the entry that says it."""

import json

from hypothesis import given
from hypothesis import strategies as st

from pipeline.audit.findings import Kind
from pipeline.audit.people import commitment_of, part_of
from pipeline.audit.seal import Chain, Sealed, seal, seal_own, source_of
from pipeline.audit.tree import leaf_hash, verify_inclusion
from pipeline.audit.verify import exported, verify
from schemas.audit import AuditEntry, RecipientsCommitted
from schemas.delivery import Result
from tests.audit import asked
from tests.audit.logs import START, receipt
from tests.audit.test_appender import appending, publish, the_log, verified
from tests.audit.test_timeline import ended, intended

SEED = bytes(range(16))


def sealed(record, seed=SEED) -> AuditEntry:
    return seal(Chain(), record, source_of(record), seed).entry


def test_an_entry_that_speaks_of_one_person_needs_no_commitment():
    assert sealed(intended("s-1")).seed is None
    assert sealed(receipt(1)).seed is None
    assert sealed(intended("s-1", "s-2")).seed == SEED.hex()


def test_the_commitment_says_what_is_said_of_all_and_names_nobody():
    said = commitment_of(sealed(ended(Result.ACCEPTED, "anna", "ben")))
    assert (said.people, said.record["incident"]) == (2, "inc-1")
    assert not {"anna", "ben"} & set(json.dumps(said.model_dump(mode="json")).replace('"', " ").split())
    assert "outcomes" not in said.record


@given(st.integers(2, 70), st.data())
def test_each_persons_part_leads_to_the_root_and_says_nothing_of_another(count, data):
    people = [f"person-{n}" for n in range(count)]
    entry = sealed(ended(Result.ACCEPTED, *people))
    one = data.draw(st.sampled_from(people))
    part, said = part_of(entry, one), commitment_of(entry)
    verify_inclusion(part.position, part.people, leaf_hash(part.leaf.encode()), part.path, bytes.fromhex(said.root))
    shown = json.loads(part.leaf)
    assert (shown["recipient"], shown["result"]) == (one, "accepted")
    assert not any(f'"{other}"' in part.leaf for other in people if other != one)


def test_who_is_not_in_it_has_no_part_of_it():
    assert part_of(sealed(intended("s-1", "s-2")), "s-3") is None


def test_neighbours_cannot_be_guessed_from_their_salt():
    """Equal words under another seed have another hash, and so has the same person in another place."""
    entry, other = (sealed(intended("s-1", "s-2"), seed) for seed in (SEED, bytes(16)))
    assert part_of(entry, "s-1").path != part_of(other, "s-1").path
    salts = {json.loads(part_of(entry, who).leaf)["salt"] for who in ("s-1", "s-2")}
    assert len(salts) == 2
    assert SEED.hex() not in salts


async def test_the_appender_seals_the_commitment_right_after_the_entry(own_broker):
    await publish(own_broker, [intended("s-1", "s-2"), ended(Result.ACCEPTED, "s-1"), receipt(1)])
    async with appending(own_broker) as running:
        await running.sealed(4)
    entries = [AuditEntry.model_validate_json(record.value) for record in await the_log(own_broker)]
    own = [entry for entry in entries if entry.origin.topic == "audit.log"]
    before = entries[own[0].index - 1]
    assert [entry.body["of"] for entry in own] == [before.index]
    assert own[0].body == commitment_of(before).model_dump(mode="json")
    result = await verified(own_broker)
    assert (result.ok, result.entries, result.signed) == (True, 4, 4)


async def test_a_commitment_that_a_crash_left_out_is_made_up_for(own_broker):
    record = intended("s-1", "s-2")
    alone = seal(Chain(), record, source_of(record), SEED)
    await publish(own_broker, [record])
    await publish(own_broker, [alone.outgoing], partition=0)
    async with appending(own_broker):
        pass
    entries = [AuditEntry.model_validate_json(record.value) for record in await the_log(own_broker)]
    assert [entry.record_type.split(".")[-2] for entry in entries] == ["intended", "recipients_committed"]
    assert entries[1] == seal_own(alone.chain, commitment_of(alone.entry), alone.entry.appended_at).entry


def checked(log: list[Sealed]) -> list[tuple[Kind, int | None]]:
    result = verify(exported(one.value for one in log), people=True)
    return [(finding.kind, finding.index) for finding in result.findings]


def test_the_verifier_reckons_each_commitment_again_by_itself():
    log = asked.sealed()
    place = next(n for n, one in enumerate(log) if one.entry.record_type == RecipientsCommitted.TYPE)
    true = RecipientsCommitted.model_validate(log[place].entry.body)
    assert checked(log) == []
    for false in ({"root": "0" * 64}, {"people": 2}, {"of": 0}):
        own = seal_own(log[place - 1].chain, true.model_copy(update=false), START)
        assert checked([*log[:place], own]) == [(Kind.COMMITMENT, place)]
        assert verify(exported(one.value for one in [*log[:place], own])).ok  # only who asks for it waits for it


def test_a_commitment_that_is_missing_or_of_nothing_is_found():
    log = asked.sealed()
    place = next(n for n, one in enumerate(log) if one.entry.record_type == RecipientsCommitted.TYPE)
    record = receipt(77)
    other = seal(log[place - 1].chain, record, source_of(record))
    assert checked([*log[:place], other]) == [(Kind.COMMITMENT, place)]
    said = RecipientsCommitted.model_validate(log[place].entry.body)
    assert checked([*log[: place + 1], seal_own(log[place].chain, said, START)]) == [(Kind.COMMITMENT, place + 1)]
    assert checked(log[:place]) == []  # the appender seals it next
