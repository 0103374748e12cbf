"""A witness cosigns what continues the log that it saw, and nothing else, whoever signed it with the log's own key."""

import asyncio
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pipeline.audit.checkpoint import cosigned_path, witness_key_path
from pipeline.audit.cosigning import Cosigning
from pipeline.audit.findings import Kind
from pipeline.audit.keys import public_key_path
from pipeline.audit.note import Checkpoint, sign
from pipeline.audit.seal import Sealed
from pipeline.audit.segments import Segments
from pipeline.audit.tree import CompactRange, consistency_proof, leaf_hash
from pipeline.audit.verify import Vouchers, exported, verify
from pipeline.audit.vouching import Distrusted, Head, Key, published
from pipeline.audit.witness import SIZE_TYPE, Witness, request_for
from pipeline.broker import runfile
from pipeline.broker.process import PORTS, is_free
from pipeline.errors import AuditError, ConfigurationError
from pipeline.supervisor import overridden
from tests.audit.logs import Log, a_log, no_file_larger_than, receipt, seal_all
from tests.audit.test_appender import DEADLINE_S, appending, publish, the_log
from tests.paths import REPOSITORY

LOG = a_log()
FORK = Log([*LOG.sealed[:4], *seal_all((receipt(n) for n in range(50, 58)), LOG.sealed[3].chain)], LOG.private)
NOW = 1_772_600_000


def a_witness(directory: Path, log_pub: str = f"{LOG.key}\n") -> Witness:
    return Witness(directory, lambda: published(log_pub), lambda: NOW)


def asked(log: Log, old: int, size: int) -> bytes:
    leaves = [leaf_hash(value) for value in log.values[:size]]
    return request_for(old, consistency_proof(leaves, old) if old else (), log.checkpoint(size))


def key_of(witness: Witness) -> Key:
    return Key.parse(witness.line)


def key_of_log(log: Log) -> Key:
    return Key.parse(str(log.key))


def test_it_cosigns_what_continues_what_it_saw_and_says_when(tmp_path):
    witness = a_witness(tmp_path)
    for old, size in ((0, 3), (3, 4), (4, 4), (4, 10)):
        answer = witness.add_checkpoint(asked(LOG, old, size))
        assert answer.status == 200
        text, moment = key_of(witness).open(LOG.checkpoint(size) + answer.body.encode())
        assert (Head.parse(text).size, moment) == (size, NOW)


def test_a_fork_is_refused_though_the_logs_own_key_signed_it(tmp_path):
    witness = a_witness(tmp_path)
    witness.add_checkpoint(asked(LOG, 0, 6))
    assert witness.add_checkpoint(asked(FORK, 6, 10)).status == 422
    assert witness.add_checkpoint(asked(FORK, 6, 6)).status == 409
    assert witness.add_checkpoint(request_for(6, (), FORK.checkpoint(10))).status == 422
    assert witness.add_checkpoint(asked(LOG, 6, 10)).status == 200


@pytest.mark.parametrize(("old", "size", "status"), [(0, 4, 409), (4, 6, 409), (10, 6, 400), (6, 6, 200), (0, 10, 409)])
def test_a_rollback_is_refused_and_told_how_far_it_has_seen(tmp_path, old, size, status):
    witness = a_witness(tmp_path)
    witness.add_checkpoint(asked(LOG, 0, 6))
    leaves = [leaf_hash(value) for value in LOG.values[:size]]
    proof = consistency_proof(leaves, old) if 0 < old <= size else ()
    answer = witness.add_checkpoint(request_for(old, proof, LOG.checkpoint(size)))
    assert answer.status == status
    if status == 409:
        assert (answer.body, answer.content_type) == ("6\n", SIZE_TYPE)


def test_it_remembers_over_a_restart_and_keeps_its_key(tmp_path):
    first = a_witness(tmp_path)
    first.add_checkpoint(asked(LOG, 0, 6))
    second = a_witness(tmp_path)
    assert second.line == first.line
    assert second.add_checkpoint(asked(FORK, 0, 10)).status == 409
    assert second.add_checkpoint(asked(LOG, 6, 10)).status == 200


def test_what_it_cannot_remember_it_does_not_cosign(tmp_path):
    a_witness(tmp_path).add_checkpoint(asked(LOG, 0, 6))
    (tmp_path / "seen.json").write_text("{")
    with pytest.raises(ConfigurationError, match="would cosign any history"):
        a_witness(tmp_path)


def test_another_logs_checkpoint_and_another_keys_are_refused(tmp_path):
    witness = a_witness(tmp_path)
    stolen = Log(LOG.sealed, Ed25519PrivateKey.from_private_bytes(b"\x01" * 32))
    assert witness.add_checkpoint(asked(stolen, 0, 6)).status == 403
    elsewhere = sign(Checkpoint("elsewhere", 6, bytes(32)).text, "elsewhere", LOG.private)
    assert witness.add_checkpoint(request_for(0, (), elsewhere)).status == 404


def test_a_key_that_was_retired_is_not_cosigned_beyond_its_part_of_the_log(tmp_path):
    """A thief could go on with it where the log was, and the witness would know another history than it has."""
    new = Log(LOG.sealed, Ed25519PrivateKey.from_private_bytes(b"\x01" * 32))
    witness = a_witness(tmp_path, f"{LOG.key}\n{new.key} after 6\n")
    answers = [witness.add_checkpoint(asked(log, *sizes)) for log, *sizes in (
        (new, 0, 6), (LOG, 0, 6), (LOG, 6, 7), (new, 6, 7), (LOG, 7, 10), (new, 7, 10),
    )]  # fmt: skip
    assert [answer.status for answer in answers] == [403, 200, 403, 200, 403, 200]
    assert f"signed by {key_of_log(LOG)}, not by {key_of_log(new)}" in answers[2].body


def test_a_checkpoint_that_it_cannot_remember_now_is_not_taken_for_seen(tmp_path):
    witness = a_witness(tmp_path)
    witness.add_checkpoint(asked(LOG, 0, 6))
    with no_file_larger_than(10), pytest.raises(AuditError, match=r"seen\.json cannot be written"):
        witness.add_checkpoint(asked(LOG, 6, 10))
    assert witness.add_checkpoint(asked(LOG, 6, 10)).status == 200


@pytest.mark.parametrize(
    "line", ["after 6", "{key} after", "{key} after x", "{key} before 6", "{key} after 06", "{key} {key}"]
)
def test_what_is_no_line_of_a_log_pub_is_refused(line):
    with pytest.raises(Distrusted):
        published(line.format(key=LOG.key))


@pytest.mark.parametrize(
    "request_body",
    [b"", b"old\n\n", b"old x\n\n", b"old 01\n\n", b"old -1\n\n", b"new 0\n\n" + LOG.checkpoint(), LOG.checkpoint(),
     b"old 0\n***\n\n" + LOG.checkpoint(), b"old 0\n" + b"AAAA\n" * 64 + b"\n" + LOG.checkpoint()],
)  # fmt: skip
def test_what_is_no_request_is_refused_as_such(tmp_path, request_body):
    assert a_witness(tmp_path).add_checkpoint(request_body).status == 400


def test_from_nothing_on_there_is_nothing_to_prove(tmp_path):
    request = request_for(0, [bytes(32)], LOG.checkpoint())
    assert a_witness(tmp_path).add_checkpoint(request).status == 422


def test_a_history_that_the_witness_did_not_see_does_not_verify_whoever_signed_it(tmp_path):
    """An older checkpoint of a shorter log, a fork: the key of the log can vouch for both, the witness does not."""
    witness = a_witness(tmp_path)
    line = witness.add_checkpoint(asked(LOG, 0, 8)).body.encode()

    def kinds(sealed: list[Sealed], checkpoint: bytes) -> list[tuple[Kind, int | None]]:
        vouchers = Vouchers(checkpoint, str(LOG.key), LOG.checkpoint(8) + line, witness.line)
        result = verify(exported(one.value for one in sealed), vouchers)
        assert result.cosigned == 8
        return [(finding.kind, finding.index) for finding in result.findings]

    assert kinds(list(LOG.sealed), LOG.checkpoint()) == []
    assert kinds(list(LOG.sealed[:6]), LOG.checkpoint(6)) == [(Kind.CUT, 6)]
    assert kinds(list(FORK.sealed), FORK.checkpoint()) == [(Kind.FORKED, None)]


def test_a_witness_that_did_not_sign_vouches_for_nothing(tmp_path):
    witness, other = a_witness(tmp_path / "a"), a_witness(tmp_path / "b")
    line = other.add_checkpoint(asked(LOG, 0, 10)).body.encode()
    for cosigned in (LOG.checkpoint() + line, None, LOG.checkpoint(), line):
        vouchers = Vouchers(LOG.checkpoint(), str(LOG.key), cosigned, witness.line)
        findings = verify(exported(LOG.values), vouchers).findings
        assert [finding.kind for finding in findings] == [Kind.CHECKPOINT]


@pytest.mark.parametrize("seen", [0, 4, 8])
async def test_a_witness_that_has_seen_another_number_is_shown_the_log_from_there_though_sealing_goes_on(
    tmp_path, seen
):
    """What was followed last is not on disk yet when earlier entries are read from there: the proof must hold all."""
    line = a_witness(tmp_path / "witness").add_checkpoint(asked(LOG, 0, 6)).body.encode()
    segments = Segments(tmp_path / "audit" / "segments")
    segments.open()
    segments.append(LOG.values[:8])
    witness_key_path(tmp_path).parent.mkdir()
    witness_key_path(tmp_path).write_bytes((tmp_path / "witness" / "witness.pub").read_bytes())
    cosigned_path(tmp_path).write_bytes(LOG.checkpoint(6) + line)
    cosigning = Cosigning("http://127.0.0.1:1", tmp_path)
    for one in LOG.sealed:
        cosigning.follow(one.chain)
    await cosigning._from(seen, 10)
    leaves = [leaf_hash(value) for value in LOG.values]
    assert (cosigning._before, cosigning._since) == (CompactRange().extend(leaves[:seen]), leaves[seen:])


@pytest.mark.parametrize("answer", ["six", "6 7", "-1", "", "9" * 5000])
async def test_an_answer_that_makes_no_sense_does_not_end_cosigning(tmp_path, answer, caplog, monkeypatch):
    monkeypatch.setattr("pipeline.audit.cosigning.AGAIN_S", 0.01)
    a_witness(tmp_path / "witness")
    witness_key_path(tmp_path).parent.mkdir()
    witness_key_path(tmp_path).write_bytes((tmp_path / "witness" / "witness.pub").read_bytes())
    asked_again = asyncio.Event()
    calls = []

    async def add_checkpoint(_request: web.Request) -> web.Response:
        calls.append(1)
        if len(calls) > 2:
            asked_again.set()
        return web.Response(status=409, body=answer.encode(), headers={"Content-Type": SIZE_TYPE})

    app = web.Application()
    app.router.add_post("/add-checkpoint", add_checkpoint)
    async with TestServer(app) as server:
        cosigning = Cosigning(str(server.make_url("/")), tmp_path)
        for one in LOG.sealed:
            cosigning.follow(one.chain)
        cosigning.offer(LOG.checkpoint())
        async with cosigning.at_work():
            await asyncio.wait_for(asked_again.wait(), DEADLINE_S)
            cosigning._note = None
    assert "which is no number" in caplog.text


def test_a_size_with_more_digits_than_any_log_has_is_no_request(tmp_path):
    assert a_witness(tmp_path).add_checkpoint(b"old " + b"9" * 5000 + b"\n\n" + LOG.checkpoint()).status == 400


@asynccontextmanager
async def witness_process(data_dir: Path, port: int):
    """`tocsin audit witness` as a process of its own."""
    command = ["-m", "pipeline.cli", "audit", "witness", "--dir", str(data_dir / "witness"), "--port", str(port)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, "--log", str(public_key_path(data_dir)), cwd=REPOSITORY,
        env={"TOCSIN_DATA_DIR": str(data_dir), "PATH": "", "PYTHONPATH": str(REPOSITORY)},
    )  # fmt: skip
    run_file = data_dir / "run" / "witness.ready"
    try:
        async with asyncio.timeout(DEADLINE_S):
            while (runfile.read(run_file) or {}).get("pid") != process.pid:
                assert process.returncode is None
                await asyncio.sleep(0.02)
        yield
    finally:
        process.terminate()
        await process.wait()


@pytest.mark.slow
async def test_the_appender_has_its_checkpoints_cosigned_and_makes_up_for_what_the_witness_missed(own_broker):
    data_dir, port = own_broker.data_dir, next(port for port in PORTS if is_free(port))
    settings = overridden(own_broker, {"TOCSIN_WITNESS_URL": f"http://127.0.0.1:{port}"})
    await publish(own_broker, [receipt(n) for n in range(3)])
    async with appending(own_broker) as running:  # without a witness, at first
        await running.sealed(3)
    async with witness_process(data_dir, port):
        witness_key_path(data_dir).write_bytes((data_dir / "witness" / "witness.pub").read_bytes())
        key = Key.parse(witness_key_path(data_dir).read_text())
        async with appending(settings) as running:
            await publish(own_broker, [receipt(n) for n in range(3, 6)])
            await running.sealed(6)
        assert Head.parse(key.open(cosigned_path(data_dir).read_bytes())[0]).size == 6
    async with appending(settings) as running:  # it is away, and sealing goes on
        await publish(own_broker, [receipt(n) for n in range(6, 9)])
        await running.sealed(9)
    cosigned_path(data_dir).unlink()  # and what it said is lost: it says itself how far it has seen
    async with witness_process(data_dir, port), appending(settings) as running:
        await running.until(cosigned_path(data_dir).exists)
    vouchers = Vouchers(
        (data_dir / "audit" / "checkpoint").read_bytes(), public_key_path(data_dir).read_text(),
        cosigned_path(data_dir).read_bytes(), witness_key_path(data_dir).read_text(),
    )  # fmt: skip
    result = verify(exported(record.value for record in await the_log(own_broker)), vouchers)
    assert (result.ok, result.signed, result.cosigned) == (True, 9, 9)


async def test_without_the_witnesses_key_nothing_starts_that_would_only_seem_to_be_witnessed(own_broker):
    settings = overridden(own_broker, {"TOCSIN_WITNESS_URL": "http://127.0.0.1:1"})
    with pytest.raises(ConfigurationError, match=r"put its witness\.pub there"):
        async with appending(settings):
            pass
