import json
from base64 import b64decode
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymerkle import InmemoryTree

from pipeline.audit.tree import (
    EMPTY_ROOT,
    CompactRange,
    Levels,
    ProofError,
    consistency_proof,
    consistency_since,
    inclusion_proof,
    leaf_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from tests.paths import CORPUS, needs_corpus

VECTORS = sorted((CORPUS / "vectors" / "merkle" / "inclusion").rglob("*.json"))
VALUES = st.lists(st.binary(max_size=40), min_size=1, max_size=70)


def naive_root(leaves: list[bytes]) -> bytes:
    """RFC 6962 section 2.1, word for word."""
    if len(leaves) < 2:
        return leaves[0] if leaves else sha256(b"").digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return sha256(b"\x01" + naive_root(leaves[:k]) + naive_root(leaves[k:])).digest()


def hashes(values: list[bytes]) -> list[bytes]:
    return [leaf_hash(value) for value in values]


@needs_corpus
@pytest.mark.parametrize("path", VECTORS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_inclusion_vectors_are_accepted_and_refused_as_they_say(path):
    vector = json.loads(path.read_text())
    proof = [b64decode(part) for part in vector["proof"] or ()]
    leaf, root = b64decode(vector["leafHash"]), b64decode(vector["root"])

    def check() -> None:
        verify_inclusion(vector["leafIdx"], vector["treeSize"], leaf, proof, root)

    if vector["wantErr"]:
        with pytest.raises(ProofError):
            check()
    else:
        check()


@needs_corpus
def test_the_vectors_are_all_there():
    assert len(VECTORS) > 80


def test_an_empty_tree_has_the_hash_of_nothing():
    assert root_of([]) == EMPTY_ROOT == CompactRange().root()


@given(VALUES)
def test_every_prefix_has_the_root_of_the_naive_twin_and_of_pymerkle(values):
    oracle = InmemoryTree(algorithm="sha256")
    tree = CompactRange()
    for size, value in enumerate(values, start=1):
        oracle.append_entry(value)
        tree = tree.append(leaf_hash(value))
        assert tree.size == size
        assert tree.root() == naive_root(hashes(values[:size])) == oracle.get_root(size)


@given(VALUES, st.data())
def test_every_leaf_can_be_proved_and_nothing_else(values, data):
    leaves = hashes(values)
    index = data.draw(st.integers(0, len(leaves) - 1))
    proof, root = inclusion_proof(leaves, index), root_of(leaves)
    verify_inclusion(index, len(leaves), leaves[index], proof, root)
    with pytest.raises(ProofError):
        verify_inclusion(index, len(leaves), leaf_hash(b"another" + values[index]), proof, root)
    with pytest.raises(ProofError):
        verify_inclusion(index, len(leaves), leaves[index], (*proof, root), root)


@given(VALUES, st.data())
def test_a_proof_of_inclusion_is_the_one_that_pymerkle_gives(values, data):
    index = data.draw(st.integers(0, len(values) - 1))
    oracle = InmemoryTree(algorithm="sha256")
    oracle.append_entries(values)
    leaf, *path = oracle.prove_inclusion(index + 1).path
    assert leaf == leaf_hash(values[index])
    assert list(inclusion_proof(hashes(values), index)) == path


@given(VALUES)
def test_the_whole_tree_gives_the_same_proofs(values):
    leaves = hashes(values)
    tree = Levels(leaves)
    assert [tree.inclusion_proof(n) for n in range(len(leaves))] == [
        inclusion_proof(leaves, n) for n in range(len(leaves))
    ]


@given(VALUES, st.data())
def test_every_prefix_is_consistent_and_a_changed_one_is_not(values, data):
    leaves = hashes(values)
    first = data.draw(st.integers(1, len(leaves)))
    proof, before, after = consistency_proof(leaves, first), root_of(leaves[:first]), root_of(leaves)
    verify_consistency(first, len(leaves), proof, before, after)
    forged = root_of([leaf_hash(b"another" + values[0]), *leaves[1:first]])
    with pytest.raises(ProofError):
        verify_consistency(first, len(leaves), proof, forged, after)
    with pytest.raises(ProofError):
        verify_consistency(first, len(leaves), (*proof, before), before, after)


@given(VALUES, st.data())
def test_what_lies_before_is_needed_by_its_peaks_only(values, data):
    leaves = hashes(values)
    first = data.draw(st.integers(1, len(leaves)))
    before = CompactRange().extend(leaves[:first])
    assert consistency_since(before, leaves[first:]) == consistency_proof(leaves, first)


@pytest.mark.parametrize(("first", "second"), [(0, 1), (3, 2), (-1, 5)])
def test_sizes_that_are_no_prefix_prove_nothing(first, second):
    with pytest.raises(ProofError, match="no prefix"):
        verify_consistency(first, second, [], EMPTY_ROOT, EMPTY_ROOT)


def test_what_is_not_there_cannot_be_proved():
    with pytest.raises(IndexError):
        inclusion_proof(hashes([b"one"]), 1)
    with pytest.raises(IndexError):
        consistency_proof(hashes([b"one"]), 2)
