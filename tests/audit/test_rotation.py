"""The log's key changes: the old one introduces the new one, and each counts for its own part of the log only."""

import shutil
from collections.abc import Sequence

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typer.testing import CliRunner

from pipeline.audit import note, vouching
from pipeline.audit.checkpoint import Notary, checkpoint_path, open_key
from pipeline.audit.findings import Kind, Result
from pipeline.audit.keys import KeyFiles, key_path, load_key, make_key, next_key_path, public_key_path, public_keys
from pipeline.audit.note import Checkpoint, PublicKey, change_of_key, sign, signature_line
from pipeline.audit.seal import Chain, Sealed, seal_own
from pipeline.audit.verify import Vouchers, exported, verify
from pipeline.cli import app
from pipeline.errors import AuditError
from pipeline.settings import Settings
from schemas.audit import KeyIntroduced
from tests.audit.logs import NAME, START, receipt, seal_all
from tests.audit.test_appender import appending, publish, the_log, verified

OLD, NEW, THIRD = (Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in range(3))


def line(key: Ed25519PrivateKey, name: str = NAME) -> str:
    return str(PublicKey(name, key.public_key().public_bytes_raw()))


def rotated(old: Ed25519PrivateKey = OLD, new: Ed25519PrivateKey = NEW, size: int | None = None) -> list[Sealed]:
    """Three entries, the introduction of a new key, three more."""
    before = seal_all(receipt(n) for n in range(3))
    said = KeyIntroduced(note=change_of_key(4 if size is None else size, NAME, old, new))
    own = seal_own(before[-1].chain, said, START)
    return [*before, own, *seal_all((receipt(n) for n in range(3, 6)), own.chain)]


def check(log: Sequence[Sealed], size: int, key: Ed25519PrivateKey, *known: str) -> Result:
    """As signed by `key` with `size` entries, for someone who knows these public keys."""
    chain = log[size - 1].chain
    checkpoint = sign(Checkpoint(NAME, size, chain.tree.root()).text, NAME, key)
    return verify(exported(one.value for one in log), Vouchers(checkpoint, "\n".join(known or (line(OLD),))))


def kinds(result: Result) -> list[tuple[Kind, int | None]]:
    return [(finding.kind, finding.index) for finding in result.findings]


@pytest.mark.parametrize("known", [(line(OLD),), (line(NEW),), (line(OLD), line(NEW))], ids=["old", "new", "both"])
def test_each_key_counts_for_its_own_part_of_the_log_whichever_of_them_is_known(known):
    log = rotated()
    assert [check(log, size, key, *known).ok for size in (3, 4, 5, 7) for key in (OLD, NEW)] == [
        True, False, True, False, False, True, False, True,
    ]  # fmt: skip


def test_a_checkpoint_of_the_old_key_over_what_the_new_one_signs_is_refused_and_said_why():
    (finding,) = check(rotated(), 7, OLD).findings
    assert finding.kind is Kind.CHECKPOINT
    assert "a checkpoint of 7 entries signed by tocsin/log/test+" in finding.expected
    assert "signed by tocsin/log/test+" in finding.found


def test_a_log_that_leaves_the_introduction_out_is_not_believed_by_whoever_knows_the_new_key():
    """As someone would forge it who has stolen the old key after all."""
    forged = seal_all(receipt(n) for n in range(7))
    assert check(forged, 7, OLD, line(OLD)).ok
    assert kinds(check(forged, 7, OLD, line(OLD), line(NEW))) == [(Kind.CHECKPOINT, None)]


def test_a_key_that_the_one_before_did_not_introduce_is_none():
    assert kinds(check(rotated(old=THIRD), 7, NEW)) == [(Kind.CHECKPOINT, None)]
    changed = rotated()
    body = {"note": changed[3].entry.body["note"].replace(line(NEW), line(THIRD))}
    own = seal_own(changed[2].chain, KeyIntroduced(**body), START)
    assert kinds(check([*changed[:3], own], 4, OLD)) == [(Kind.KEY, 3)]


@pytest.mark.parametrize("signers", [(THIRD, NEW), (OLD, THIRD), (OLD,), (NEW,)])
def test_an_introduction_is_signed_by_the_old_key_and_the_new_one(signers):
    text = change_of_key(4, NAME, OLD, NEW).partition("\n\n")[0] + "\n"
    said = f"{text}\n{''.join(signature_line(text, NAME, key) for key in signers)}"
    before = rotated()[:3]
    own = seal_own(before[-1].chain, KeyIntroduced(note=said), START)
    assert kinds(check([*before, own], 4, OLD)) == [(Kind.KEY, 3)]


def test_each_key_is_introduced_by_the_one_before_it():
    """The old key is gone once it has introduced the new one: another introduction by it is a thief's."""
    log = rotated()
    stolen = KeyIntroduced(note=change_of_key(8, NAME, OLD, THIRD))
    own = seal_own(log[-1].chain, stolen, START)
    assert kinds(check([*log, own], 8, NEW)) == [(Kind.CHECKPOINT, None)]
    fine = KeyIntroduced(note=change_of_key(8, NAME, NEW, THIRD))
    assert check([*log, seal_own(log[-1].chain, fine, START)], 8, NEW).ok


def test_a_key_does_not_sign_before_its_introduction_is_signed_for(tmp_path):
    notary = Notary(tmp_path, KeyFiles(tmp_path), lambda: 0.0)
    notary.follow(Chain())
    make_key(next_key_path(tmp_path))
    said = notary.introduction(0, ())
    introduced = [f"{said.note.splitlines()[4]} after 1"]
    own = seal_own(Chain(), said, START)
    notary.follow(own.chain)
    assert not notary.change_key(introduced)
    notary.sign(own.chain)
    assert not notary.change_key(())
    assert notary.change_key(introduced)


def test_an_introduction_counts_only_in_the_place_that_it_was_signed_for():
    assert kinds(check(rotated(size=3), 3, OLD)) == [(Kind.KEY, 3)]


def test_what_the_writer_says_is_what_the_verifier_looks_for():
    assert vouching.INTRODUCTION == KeyIntroduced.TYPE
    assert (vouching.CHANGE, bytes([vouching.SIGNER])) == (note.CHANGE, note.ED25519)
    assert bytes([vouching.COSIGNER]) == note.COSIGNATURE


async def test_the_appender_has_a_waiting_key_introduced_and_signs_with_it_from_then_on(own_broker, monkeypatch):
    data_dir = own_broker.data_dir
    monkeypatch.setenv("TOCSIN_DATA_DIR", str(data_dir))
    await publish(own_broker, [receipt(n) for n in range(3)])
    async with appending(own_broker) as running:
        await running.sealed(3)
        first = load_key(key_path(data_dir)).private_bytes_raw()
        assert CliRunner().invoke(app, ["audit", "rotate-key"]).exit_code == 0
        await running.until(lambda: len(public_keys(data_dir)) == 2)
        await publish(own_broker, [receipt(n) for n in range(3, 6)])
        await running.sealed(7)
    assert load_key(key_path(data_dir)).private_bytes_raw() != first
    assert not next_key_path(data_dir).exists()
    old, new = public_keys(data_dir)
    assert old.name == new.name
    assert public_key_path(data_dir).read_text() == f"{old}\n{new} after 4\n"
    result = await verified(own_broker)
    assert (result.ok, result.entries, result.signed) == (True, 7, 7)
    new.open(checkpoint_path(data_dir).read_bytes())


@pytest.mark.parametrize("crash", ["before it was signed for", "before the keys changed places"])
async def test_a_change_of_key_that_a_crash_cut_short_is_completed(own_broker, monkeypatch, crash):
    class Killed(BaseException):
        pass

    def die(name: str) -> None:
        if name == ("record.after_append" if crash == "before it was signed for" else "record.key_introduced"):
            raise Killed

    data_dir = own_broker.data_dir
    async with appending(own_broker):
        pass
    make_key(next_key_path(data_dir))
    monkeypatch.setattr("pipeline.failpoints.hit", die)
    with pytest.raises(Killed):
        async with appending(own_broker) as running:
            await running.sealed(2)
    monkeypatch.undo()
    async with appending(own_broker):
        await publish(own_broker, [receipt(0)])
    assert len(public_keys(data_dir)) == 2
    assert not next_key_path(data_dir).exists()
    result = await verified(own_broker)
    assert (result.ok, len([one for one in await the_log(own_broker) if b"key_introduced" in one.value])) == (True, 1)


def test_keys_that_changed_places_halfway_are_put_right(tmp_path):
    _, first = open_key(tmp_path, KeyFiles(tmp_path))
    make_key(next_key_path(tmp_path))
    raw = load_key(next_key_path(tmp_path)).public_key().public_bytes_raw()
    new = PublicKey(first.name, raw)
    public_key_path(tmp_path).write_text(f"{first}\n{new}\n")
    assert open_key(tmp_path, KeyFiles(tmp_path))[1] == new
    assert not next_key_path(tmp_path).exists()


def test_a_key_that_was_put_back_from_before_a_change_signs_nothing(tmp_path):
    _, first = open_key(tmp_path, KeyFiles(tmp_path))
    kept = tmp_path / "kept"
    shutil.copy2(key_path(tmp_path), kept)
    make_key(next_key_path(tmp_path))
    new = PublicKey(first.name, load_key(next_key_path(tmp_path)).public_key().public_bytes_raw())
    public_key_path(tmp_path).write_text(f"{first}\n{new}\n")
    open_key(tmp_path, KeyFiles(tmp_path))
    checkpoint_path(tmp_path).parent.mkdir()
    checkpoint_path(tmp_path).write_bytes(b"anything")
    shutil.copy2(kept, key_path(tmp_path))
    with pytest.raises(AuditError, match="is not the key that the last checkpoint was signed with"):
        open_key(tmp_path, KeyFiles(tmp_path))
    assert public_keys(tmp_path) == [first, new]


def test_a_key_that_waits_is_not_replaced_by_another(tmp_path, monkeypatch):
    monkeypatch.setenv("TOCSIN_DATA_DIR", str(tmp_path))
    assert CliRunner().invoke(app, ["audit", "rotate-key"]).exit_code == 0
    waiting = next_key_path(Settings().data_dir).read_bytes()
    result = CliRunner().invoke(app, ["audit", "rotate-key"])
    assert result.exit_code == 1
    assert "waits already" in result.stderr
    assert next_key_path(tmp_path).read_bytes() == waiting
