import json
import random
import re
import secrets
import time
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from itertools import accumulate

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from pipeline.audit.findings import Finding, Kind, Result
from pipeline.audit.note import Checkpoint, PublicKey, sign
from pipeline.audit.people import commitment_of
from pipeline.audit.seal import Sealed, seal, seal_own, source_of
from pipeline.audit.tree import leaf_hash
from pipeline.audit.verify import Vouchers, exported, verify
from pipeline.audit.vouching import published
from pipeline.audit.witness import Witness, request_for
from schemas import topics
from tests.audit.logs import NAME, Log, a_log, receipt, record, seal_all
from tests.deliver.given import intended

LOG = a_log()
K = Kind


def check(values: list[bytes], log: Log = LOG, checkpoint: bytes | None = None, leaves: bytes | None = None) -> Result:
    return verify(exported(values), replace(log.vouchers(checkpoint), leaves=leaves))


def leaves_of(values: list[bytes]) -> bytes:
    """What an export keeps beside it."""
    return b"".join(map(leaf_hash, values))


def named(result: Result) -> list[tuple[Kind, int | None]]:
    return [(finding.kind, finding.index) for finding in result.findings]


def naive(values: list[bytes]) -> bool:
    """Whether a log links: the definition, word for word."""
    prev = "0" * 64
    for index, value in enumerate(values):
        try:
            entry = json.loads(value)
            if type(entry["index"]) is not int or (entry["index"], entry["prev"]) != (index, prev):
                return False
        except (ValueError, TypeError, KeyError):
            return False
        prev = sha256(b"\x00" + value).hexdigest()
    return True


def relinked(values: list[bytes], first: int) -> list[bytes]:
    """As someone would who rewrites the log: every entry from `first` on says what its predecessor now is."""
    values = list(values)
    for index in range(first, len(values)):
        prev = leaf_hash(values[index - 1]).hex().encode()
        values[index] = re.sub(rb'"prev":"[0-9a-f]{64}"', b'"prev":"' + prev + b'"', values[index], count=1)
    return values


def changed(values: list[bytes], index: int) -> list[bytes]:
    return [v.replace(b"delivered", b"delayed!!") if i == index else v for i, v in enumerate(values)]


def naive_entry(value: bytes) -> bool:
    return b'"prev":"' in value


def foreign(values: list[bytes], index: int) -> list[bytes]:
    return [*values[:index], values[index].replace(b"delivered", b"never sent"), *values[index:]]


def lying(values: list[bytes], index: int) -> list[bytes]:
    """Entry `index` says of the one before it what is not so."""
    lie = re.sub(rb'"prev":"[0-9a-f]{64}"', b'"prev":"' + b"0" * 64 + b'"', values[index])
    return [*values[:index], lie, *values[index + 1 :]]


def moved(values: list[bytes], index: int, to: int) -> list[bytes]:
    values = list(values)
    values.insert(to, values.pop(index))
    return values


V = LOG.values
FORKED = relinked(changed(V, 4), 5)
TAMPERED: dict[str, tuple[list[bytes], list[tuple[Kind, int | None]]]] = {
    "a changed byte": (changed(V, 4), [(K.CHANGED, 4)]),
    "two changed entries": (changed(changed(V, 2), 7), [(K.CHANGED, 2), (K.CHANGED, 7)]),
    "a changed first entry": (changed(V, 0), [(K.CHANGED, 0)]),
    "a changed last entry": (changed(V, 9), [(K.FORKED, None)]),
    "a cut tail": (V[:7], [(K.CUT, 7)]),
    "nothing left": ([], [(K.CUT, 0)]),
    "a missing first entry": (V[1:], [(K.MISSING, 0)]),
    "a missing middle": (V[:3] + V[4:], [(K.MISSING, 3)]),
    "a longer missing middle": (V[:3] + V[6:], [(K.MISSING, 3)]),
    "two swapped": (moved(V, 4, 5), [(K.MOVED, 4)]),
    "one moved back": (moved(V, 7, 2), [(K.MOVED, 7)]),
    "one moved to the end": (moved(V, 2, 9), [(K.MOVED, 2)]),
    "a repeated entry": (V[:5] + V[4:], [(K.REPEATED, 4)]),
    "the last repeated": (V + V[-1:], [(K.REPEATED, 9)]),
    "a foreign entry": (foreign(V, 5), [(K.FOREIGN, 5)]),
    "an entry made unreadable": ([*V[:5], b"{", *V[6:]], [(K.UNREADABLE, 5)]),
    "the last made unreadable": ([*V[:9], b"\xff"], [(K.CUT, 9), (K.UNREADABLE, 9)]),
    "a blank line": ([*V[:5], b"", *V[5:]], [(K.UNREADABLE, 5)]),
    "a rewritten history": (relinked(changed(V, 4), 5), [(K.FORKED, None)]),
    "an inflated index": ([*V[:5], V[5].replace(b'"index":5', b'"index":7'), *V[6:]], [(K.MISSING, 5), (K.FOREIGN, 7)]),
}  # fmt: skip


@pytest.mark.parametrize("name", TAMPERED)
def test_the_tampering_is_found_and_located(name):
    values, expected = TAMPERED[name]
    assert sorted(named(check(values)), key=str) == sorted(expected, key=str)


EXACTLY: dict[str, tuple[list[bytes], list[tuple[Kind, int | None]]]] = {
    "a changed last entry": (changed(V, 9), [(K.CHANGED, 9)]),
    "a rewritten history": (relinked(changed(V, 4), 5), [(K.CHANGED, 4)]),
    "a rewritten history, and its last entry once more": (changed(relinked(changed(V, 4), 5), 9), [(K.CHANGED, 4)]),
    "an entry that lies about the one before it": (lying(V, 5), [(K.CHANGED, 5)]),
    "two neighbours": (changed(changed(V, 4), 5), [(K.CHANGED, 4), (K.CHANGED, 5)]),
    "a cut tail": (V[:7], [(K.CUT, 7)]),
    "nothing": (V, []),
}


@pytest.mark.parametrize("name", EXACTLY)
def test_with_the_leaves_that_were_sealed_the_very_entry_is_named(name):
    values, expected = EXACTLY[name]
    assert named(check(values, leaves=leaves_of(V))) == expected


def test_of_a_rewritten_tail_it_is_said_where_it_begins_and_how_far_it_goes():
    (finding,) = check(relinked(changed(V, 4), 5), leaves=leaves_of(V)).findings
    assert finding.found.endswith("; the 5 after it, up to entry 9, are others as well, so that they link")


def test_an_entry_that_is_not_signed_for_yet_and_lies_about_the_one_before_it_is_the_one_that_is_named():
    """The leaves clear the one that it speaks of: that it does not link must be said all the same."""
    result = check(lying(a_log(11).values, 10), leaves=leaves_of(V))
    assert named(result) == [(K.CHANGED, 10)]
    assert leaf_hash(V[9]).hex() in result.findings[0].expected


@pytest.mark.parametrize("leaves", [b"", leaves_of(V)[:-1], leaves_of(changed(V, 9)), leaves_of(FORKED), bytes(320)])
def test_leaves_that_lead_to_no_signed_root_are_not_believed(leaves):
    assert named(check(changed(V, 9), leaves=leaves)) == [(K.FORKED, None)]
    assert named(check(V, leaves=leaves)) == []


def test_where_the_signed_root_alone_cannot_tell_both_that_can_be_are_said():
    """A root is a hash over all leaves: without the one that was there nothing of it can be reckoned back."""
    for values in (changed(V, 9), relinked(changed(V, 4), 5)):
        (finding,) = check(values).findings
        assert "either entry 9 alone was changed, or one from entry 0 on and all that follow it" in finding.found
    (finding,) = check(relinked(changed(V, 4), 5), checkpoint=LOG.checkpoint(6)).findings
    assert finding.found.endswith(": one of the entries 0-5 was changed, and all that follow it, so that they link")


def test_an_earlier_root_that_is_right_narrows_it_down_to_the_entry(tmp_path):
    witness = Witness(tmp_path, lambda: published(str(LOG.key)), lambda: 0)

    def seen(values: list[bytes], size: int) -> Finding:
        note = LOG.checkpoint(size)
        line = witness.add_checkpoint(request_for(0, (), note)).body.encode()
        (tmp_path / "seen.json").unlink()
        witness._seen.clear()
        vouchers = replace(LOG.vouchers(), cosigned=note + line, witness=witness.line)
        (finding,) = verify(exported(values), vouchers).findings
        return finding

    assert (seen(changed(V, 9), 9).kind, seen(changed(V, 9), 9).index) == (K.CHANGED, 9)
    assert "or one from entry 7 on and all that follow it" in seen(relinked(changed(V, 8), 9), 7).found


OTHER = Log(LOG.sealed, Ed25519PrivateKey.from_private_bytes(b"\x01" * 32))
FORK = Log(seal_all([receipt(99)], LOG.sealed[3].chain), LOG.private)


def signed(root: bytes, size: int = 10) -> bytes:
    return sign(Checkpoint(NAME, size, root).text, NAME, LOG.private)


VOUCHERS: dict[str, tuple[list[bytes], bytes, list[tuple[Kind, int | None]]]] = {
    "a fork: another fifth entry, well sealed and signed": ([*V[:4], *FORK.values], FORK.checkpoint(), []),
    "a fork, under the checkpoint of before": ([*V[:4], *FORK.values], LOG.checkpoint(5), [(K.FORKED, None)]),
    "re-signed by another key": (V, OTHER.checkpoint(), [(K.CHECKPOINT, None)]),
    "rewritten and re-signed by another key": (relinked(changed(V, 4), 5), OTHER.checkpoint(), [(K.CHECKPOINT, None)]),
    "an older checkpoint over a rewritten part": (relinked(changed(V, 4), 5), LOG.checkpoint(6), [(K.FORKED, None)]),
    "a leaf of the wrong size": ([*V[:5], V[5].replace(b'"prev":"', b'"prev":"00'), *V[6:]],
                                 LOG.checkpoint(), [(K.UNREADABLE, 5)]),
    "the root of an empty tree": (V, signed(sha256(b"").digest()), [(K.FORKED, None)]),
    "an empty root": (V, signed(b""), [(K.CHECKPOINT, None)]),
    "a root of the wrong size": (V, signed(b"\0" * 31), [(K.CHECKPOINT, None)]),
    "a checkpoint of nothing": (V, signed(bytes(32), 0), [(K.FORKED, None)]),
    "a checkpoint that is no note": (V, b"all is well\n", [(K.CHECKPOINT, None)]),
}  # fmt: skip


@pytest.mark.parametrize("name", VOUCHERS)
def test_what_vouches_for_it_is_believed_only_as_it_was_signed(name):
    values, checkpoint, expected = VOUCHERS[name]
    assert named(check(values, checkpoint=checkpoint)) == expected


def test_a_sound_log_is_verified_with_all_its_entries_signed_for():
    assert check(V) == Result(10, 0, LOG.sealed[-1].chain.tree.root(), 10, ())


def test_an_empty_log_is_sound():
    result = verify(())
    assert result.ok
    assert (result.entries, result.root) == (0, sha256(b"").digest())


def test_a_finding_says_what_was_expected_and_what_was_found():
    (finding,) = check(changed(V, 4)).findings
    assert leaf_hash(V[4]).hex() in finding.expected
    assert leaf_hash(changed(V, 4)[4]).hex() in finding.found


def test_a_tail_that_nobody_signed_for_can_be_cut_without_a_trace_and_the_result_says_how_far_it_is_signed():
    result = check(V[:7], checkpoint=LOG.checkpoint(6))
    assert result.ok
    assert (result.entries, result.signed) == (7, 6)
    assert verify(exported(V)).signed is None


def test_an_older_checkpoint_vouches_for_its_own_part():
    assert check(V, checkpoint=LOG.checkpoint(6)).signed == 6
    assert named(check(relinked(changed(V, 4), 5), checkpoint=LOG.checkpoint(6))) == [(K.FORKED, None)]
    assert named(check(relinked(changed(V, 8), 9), checkpoint=LOG.checkpoint(6))) == []


def test_a_checkpoint_signed_by_another_key_is_refused():
    other = Log(LOG.sealed, Ed25519PrivateKey.from_private_bytes(b"\x01" * 32))
    assert named(check(V, checkpoint=other.checkpoint())) == [(K.CHECKPOINT, None)]


def test_a_checkpoint_of_another_log_is_refused():
    note = sign(Checkpoint("another", 10, LOG.sealed[-1].chain.tree.root()).text, NAME, LOG.private)
    assert named(check(V, checkpoint=note)) == [(K.CHECKPOINT, None)]


def test_a_checkpoint_with_another_size_than_was_signed_is_refused():
    assert named(check(V[:7], checkpoint=LOG.checkpoint().replace(b"\n10\n", b"\n7\n"))) == [(K.CHECKPOINT, None)]


def test_a_checkpoint_with_a_wrong_root_is_a_fork():
    note = sign(Checkpoint(NAME, 10, bytes(32)).text, NAME, LOG.private)
    assert named(check(V, checkpoint=note)) == [(K.FORKED, None)]


def test_a_checkpoint_is_refused_without_a_key_to_check_it_with():
    assert named(verify(exported(V), Vouchers(LOG.checkpoint()))) == [(K.CHECKPOINT, None)]


def test_the_roots_in_the_records_locate_what_the_chain_alone_cannot():
    stored = LOG.stored
    rewritten = [(v, root) for v, (_, root) in zip(relinked(changed(V, 4), 5), stored, strict=True)]
    assert named(verify(rewritten)) == [(K.ROOT, 4)]
    last = [*stored[:9], (changed(V, 9)[9], stored[9][1])]
    assert named(verify(last)) == [(K.ROOT, 9)]
    wrong = [*stored[:6], (V[6], b"0" * 64), *stored[7:]]
    assert named(verify(wrong)) == [(K.ROOT, 6)]
    assert verify(stored).ok


def test_the_appends_of_one_who_was_no_longer_the_appender_are_voids_in_the_topic():
    """Two appenders continue the same log of four with the same records; the second one's come late."""
    records = [receipt(number) for number in (4, 5, 6, 7)]
    before = seal_all(receipt(number) for number in range(4))
    ours = seal_all(records, before[-1].chain)
    same, otherwise = ours[:2], seal_all(reversed(records), before[-1].chain)
    for zombie in (same, otherwise):
        stored = [(one.value, dict(one.outgoing.headers)["ce_root"]) for one in (*before, *ours, *zombie)]
        result = verify(stored, voids_allowed=True)
        assert (result.ok, result.entries, result.voids) == (True, 8, len(zombie))
        assert not verify(stored).ok


def test_the_commitment_that_follows_on_a_void_is_a_void_as_well():
    """Its id hangs on the seed of the entry that it is about, and each appender draws its own."""
    before = seal_all([receipt(0)])

    def sealed(*seqs: int) -> list[Sealed]:
        chain, found = before[-1].chain, []
        for seq in seqs:
            about = intended("s1", "s2", seq=seq)
            one = record(topics.DELIVERY_RECORDS_TOPIC, about, id=f"i-{seq}", subject="INC-1", offset=seq)
            found.append(seal(chain, one, source_of(one), secrets.token_bytes(16)))
            entry = found[-1].entry
            found.append(seal_own(found[-1].chain, commitment_of(entry), entry.appended_at))
            chain = found[-1].chain
        return found

    late, ours = sealed(2), sealed(2, 3)
    result = verify([(one.value, None) for one in (*before, *ours, *late)], voids_allowed=True)
    assert (result.ok, result.entries, result.voids) == (True, 5, 2)


def test_voids_before_the_entry_that_links_are_passed_over_too():
    before = seal_all(receipt(number) for number in range(4))
    first = seal_all([receipt(4)], before[-1].chain)
    late = seal_all([receipt(5), receipt(6)], before[-1].chain)
    again = seal_all([receipt(5), receipt(6)], first[-1].chain)
    stored = [(one.value, None) for one in (*before, *first, *late, *again)]
    result = verify(stored, voids_allowed=True)
    assert (result.ok, result.entries, result.voids) == (True, 7, 2)


def test_something_foreign_in_the_topic_is_no_void():
    another = foreign(V, 5)[5]
    late = verify([(value, None) for value in [*V[:6], another, *V[6:]]], voids_allowed=True)
    assert (late.ok, late.voids) == (True, 1)  # it holds a record that is sealed: so would a former appender's
    strange = [*V[:5], V[5].replace(b'"record_id":"', b'"record_id":"x'), *V[5:]]
    assert named(verify([(value, None) for value in strange], voids_allowed=True)) == [(K.FOREIGN, 5)]
    assert named(verify([(v, None) for v in [*V[:5], None, *V[5:]]], voids_allowed=True)) == [(K.UNREADABLE, 5)]


LONG = a_log(24)
EDIT = st.tuples(st.integers(0, 23), st.integers(0, 2000), st.integers(1, 255))


@given(EDIT)
def test_every_single_changed_byte_of_an_export_is_found_where_it_is(edit):
    index, place, flip = edit
    value = bytearray(LONG.values[index])
    value[place % len(value)] ^= flip
    content = b"".join(v + b"\n" for v in [*LONG.values[:index], bytes(value), *LONG.values[index + 1 :]])
    result = check(content.removesuffix(b"\n").split(b"\n"), LONG)
    assert not result.ok
    assert index == 23 or {index} & {finding.index for finding in result.findings}
    exactly = check(content.removesuffix(b"\n").split(b"\n"), LONG, leaves=leaves_of(LONG.values))
    assert {index} & {finding.index for finding in exactly.findings}


@pytest.mark.slow
def test_of_twenty_thousand_changed_bytes_of_an_export_each_is_found_where_it_is():
    """Two hundred, of entries that are not neighbours, change at once: each must be named beside the others."""
    log, chance = a_log(10_000), random.Random(6962)
    content, leaves = b"".join(value + b"\n" for value in log.values), leaves_of(log.values)
    ends = list(accumulate(len(value) + 1 for value in log.values))
    for _ in range(100):
        places: dict[int, int] = {}
        while len(places) < 200:
            place = chance.randrange(len(content))
            index = bisect_right(ends, place)
            if not places.keys() & {index - 2, index - 1, index, index + 1, index + 2}:
                places[index] = place
        tampered = bytearray(content)
        for place in places.values():
            tampered[place] ^= chance.randrange(1, 256)
        result = check(bytes(tampered).removesuffix(b"\n").split(b"\n"), log, leaves=leaves)
        found = {finding.index for finding in result.findings}
        # A line break that goes makes one entry of two: the first of them, or the next, is what is missing.
        assert not {index for index in places if not found & {index, index + 1}}


TAMPERINGS: list[Callable[[list[bytes], int, int], list[bytes]]] = [
    lambda v, i, j: v,
    lambda v, i, j: v[:i] + v[i + 1 :],
    lambda v, i, j: moved(v, i, j),
    lambda v, i, j: [*v[:j], v[i], *v[j:]],
    lambda v, i, j: v[:i],
    lambda v, i, j: changed(v, i),
    lambda v, i, j: [*v[:i], b"null", *v[i:]],
    lambda v, i, j: [*v[:i], v[j], *v[i + 1 :]],
    lambda v, i, j: lying(v, i),
    lambda v, i, j: relinked(v, i) if all(map(naive_entry, v)) else v,
]


@given(st.lists(st.tuples(st.sampled_from(TAMPERINGS), st.integers(0, 23), st.integers(0, 23)), max_size=4))
def test_it_finds_something_exactly_if_the_naive_twin_does(steps):
    values = LONG.values
    for tamper, i, j in steps:
        values = tamper(values, min(i, len(values) - 1), min(j, len(values) - 1)) if values else values
    result = verify(exported(values))
    assert result.ok is naive(values)
    assert check(values, LONG).ok is (values == LONG.values)
    for size in (24, 15):  # the leaves tell more exactly what is wrong, and never that nothing is
        told = [check(values, LONG, LONG.checkpoint(size), kept).ok for kept in (None, leaves_of(LONG.values))]
        assert told[0] is told[1]
    assert result.entries <= len(values)


@given(st.lists(st.one_of(st.binary(max_size=30), st.sampled_from([*V, b"[]", b"{}", b'{"index":1}'])), max_size=8))
def test_whatever_stands_there_it_gives_a_result(values):
    assert verify(exported(values)).ok is naive(values)
    assert isinstance(verify([(v, v) for v in values], voids_allowed=True), Result)


@pytest.mark.parametrize("what", ["blank lines", "entries twice, each changed", "gaps, and blank lines"])
def test_however_much_was_put_in_the_verifier_comes_to_an_end(what):
    """Time in proportion to what stands there: nobody makes an auditor wait for hours by a file of a few megabytes."""
    count = 20_000
    values = [
        b'{"index":%d,"prev":"%064x","record_id":"r","record_type":"t"}' % (number, number) for number in range(count)
    ]
    match what:
        case "blank lines":
            values = [b""] * count
        case "gaps, and blank lines":
            values = values[::2] + [b""] * count
        case _:
            values = [one for value in values for one in (value, value + b" ")]
    began = time.process_time()
    assert len(verify(exported(values)).findings) >= count
    assert time.process_time() - began < 5


def test_a_foreign_entry_in_the_topic_that_the_log_does_not_go_on_from_is_found():
    result = verify([(value, None) for value in foreign(V, 5)], voids_allowed=True)
    assert not result.ok


def test_the_line_of_a_public_key_says_if_it_is_damaged():
    line = str(LOG.key)
    assert PublicKey.parse(f"{line}\n") == LOG.key
