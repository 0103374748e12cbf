"""A proof of what one person was told: a script that knows nothing of us accepts true ones, and refuses false ones."""

import ast
import json
import re
import subprocess
import sys
from base64 import b64encode
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pipeline.audit.proof import Subject, proof_of
from pipeline.audit.proof_page import SCRIPT, page
from pipeline.commands.auditing.knowing import read
from pipeline.errors import AuditError
from schemas.base import Channel
from tests.audit.asked import ANNA, BEN, CORA, LOG, RECORDS, Shelf, at, intended, sealed, words
from tests.audit.logs import Log
from tests.audit.test_timeline import INCIDENT
from tests.entries import MAIL

Proof = dict[str, Any]


async def made(person: str = ANNA, place: Shelf | None = None, until=None) -> Proof:
    gathered, messages, said = await read(place or Shelf(), person, until, INCIDENT)
    return json.loads(json.dumps(proof_of(Subject(INCIDENT, person, ""), gathered, messages, said)))


def checked(tmp_path: Path, proof: Proof, key: str = str(LOG.key)) -> subprocess.CompletedProcess[str]:
    """As the one who gets it does: the script, the file, the key, and nothing else."""
    (tmp_path / "proof.json").write_text(json.dumps(proof, ensure_ascii=False), "utf-8")
    (tmp_path / "log.pub").write_text(f"{key}\n")
    (tmp_path / "check_proof.py").write_bytes(SCRIPT.read_bytes())
    return subprocess.run(
        [sys.executable, "-I", "check_proof.py", "proof.json", "log.pub"],
        cwd=tmp_path, capture_output=True, text=True, encoding="utf-8", env={"PYTHONIOENCODING": "utf-8"}, check=False,
    )  # fmt: skip


def test_the_script_stands_alone_on_a_page():
    lines = SCRIPT.read_text("utf-8").splitlines()
    assert len(lines) <= 60
    assert max(map(len, lines)) <= 130
    tree = ast.parse("\n".join(lines))
    modules = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    modules |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name for name in modules if name.partition(".")[0] not in sys.stdlib_module_names} == {
        "cryptography.hazmat.primitives.asymmetric.ed25519"
    }


async def test_a_true_proof_is_accepted_and_says_the_very_words(tmp_path):
    done = checked(tmp_path, await made())
    assert (done.returncode, done.stderr) == (0, "")
    assert "TRUE: 2026-03-04T02:01:42Z, by email, accepted:\nSearch is slow\nSince 13:00 CET searches" in done.stdout
    assert "by sms, unknown:\n\nSuche langsam seit 13:00 CET [red]" in done.stdout
    assert done.stdout.splitlines()[-1] == f"TRUE: entries of a log of 15; 2 messages to {ANNA} about {INCIDENT}"


async def test_it_says_nothing_of_the_others_in_the_batch():
    proof = await made()
    text = json.dumps(proof)
    assert len(proof["messages"]) == 2
    for other in (BEN, CORA):
        assert other not in text
        assert b64encode(other.encode()).decode() not in text
    assert "seed" not in {key for shown in proof["entries"] for key in json.loads(shown["entry"])}
    own = {json.loads(shown["part"]["leaf"])["recipient"] for shown in proof["entries"] if "part" in shown}
    assert own == {ANNA}


def entry_changed(p: Proof) -> None:
    shown = p["entries"][p["messages"][1]["ended"]]
    shown["entry"] = shown["entry"].replace('"unknown"', '"accepted"')
    p["messages"][1]["result"] = "accepted"


def another_result(p: Proof) -> None:
    p["messages"][1]["result"] = "accepted"


def words_changed(p: Proof) -> None:
    for name, said in p["renderings"].items():
        p["renderings"][name] = said.replace("searches take long", "all is well")
    p["messages"][0]["says"]["text"] = p["messages"][0]["says"]["text"].replace("searches take long", "all is well")


def other_words_shown(p: Proof) -> None:
    p["messages"][0]["says"]["text"] = "All is well."


def another_zone(p: Proof) -> None:
    p["messages"][0]["zone"] = "UTC"
    p["messages"][0]["says"]["text"] = p["messages"][0]["says"]["text"].replace("13:00 CET", "12:00 UTC")


def another_person(p: Proof) -> None:
    p["subscriber"] = BEN


def part_renamed(p: Proof) -> None:
    p["subscriber"] = BEN
    for shown in p["entries"]:
        for holder, key in ((shown, "entry"), (shown.get("part", {}), "leaf")):
            if key in holder:
                holder[key] = holder[key].replace(ANNA, BEN)


def a_shorter_path(p: Proof) -> None:
    p["entries"][0]["path"] = p["entries"][0]["path"][:-1]


def a_turned_path(p: Proof) -> None:
    p["entries"][0]["path"] = p["entries"][0]["path"][::-1]


def another_incident(p: Proof) -> None:
    p["incident"] = "inc-2"


def another_moment(p: Proof) -> None:
    p["messages"][0]["at"] = "2026-03-04T01:00:00Z"


def end_of_another_message(p: Proof) -> None:
    p["messages"][0]["ended"] = p["messages"][1]["ended"]
    p["messages"][0]["result"] = "unknown"


def plan_as_its_end(p: Proof) -> None:
    p["messages"][1]["ended"] = p["messages"][1]["intended"]


def receipt_of_another(p: Proof) -> None:
    p["messages"][1]["receipts"] = p["messages"][0]["receipts"]


def another_root(p: Proof) -> None:
    lines = p["checkpoint"].split("\n")
    lines[2] = b64encode(bytes(32)).decode()
    p["checkpoint"] = "\n".join(lines)


def another_size(p: Proof) -> None:
    p["checkpoint"] = p["checkpoint"].replace("\n15\n", "\n16\n")


def re_signed(p: Proof) -> None:
    p["checkpoint"] = Log(LOG.sealed, Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)).checkpoint().decode()


def another_provider_id(p: Proof) -> None:
    p["messages"][0]["provider_id"] = "<nobody@mail>"


def a_place_outside(p: Proof) -> None:
    shown = p["entries"][p["messages"][0]["intended"]]
    shown["part"]["position"] += 4


def a_longer_path(p: Proof) -> None:
    p["entries"][0]["path"] = ["00" * 32, *p["entries"][0]["path"]]


def part_changed(p: Proof) -> None:
    part = p["entries"][p["messages"][0]["ended"]]["part"]
    part["leaf"] = part["leaf"].replace(f"<{ANNA}.1@mail>", "<other@mail>")
    p["messages"][0]["provider_id"] = "<other@mail>"


def another_kind(p: Proof) -> None:
    p["messages"][0]["kind"] = "resolved"


def another_person_and_nothing_that_tells(p: Proof) -> None:
    p["subscriber"] = BEN
    p["addresses"] = []
    for told in p["messages"]:
        told["receipts"] = []


def whole_end_of_another_message(p: Proof) -> None:
    first, second = p["messages"]
    p["messages"] = [{**first, **{name: second[name] for name in ("ended", "result", "provider_id", "at", "receipts")}}]


def plan_as_its_whole_end(p: Proof) -> None:
    told = p["messages"][0]
    at = json.loads(p["entries"][told["intended"]]["entry"])["body"]["record"]["at"]
    told.update(ended=told["intended"], result=None, provider_id=None, at=at)


def address_of_another(p: Proof) -> None:
    p["addresses"] = [p["messages"][1]["intended"]]


def a_message_twice(p: Proof) -> None:
    p["messages"] = [*p["messages"], p["messages"][0]]


FALSE = (
    a_message_twice,
    a_longer_path, part_changed, another_kind, another_person_and_nothing_that_tells, whole_end_of_another_message,
    plan_as_its_whole_end, address_of_another,
    entry_changed, another_result, words_changed, other_words_shown, another_zone, another_person, part_renamed,
    a_shorter_path, a_turned_path, another_incident, another_moment, end_of_another_message, plan_as_its_end,
    receipt_of_another, another_root, another_size, re_signed, another_provider_id, a_place_outside,
)  # fmt: skip


@pytest.mark.parametrize("forge", FALSE, ids=lambda forge: forge.__name__.replace("_", " "))
async def test_a_false_proof_is_refused(tmp_path, forge):
    true = await made()
    false = deepcopy(true)
    forge(false)
    assert false != true
    done = checked(tmp_path, false)
    assert done.returncode == 1
    assert done.stderr.startswith("FALSE: ")


async def test_a_proof_of_another_log_is_refused(tmp_path):
    other = Log(LOG.sealed, Ed25519PrivateKey.from_private_bytes(b"\x01" * 32))
    done = checked(tmp_path, await made(), str(other.key))
    said = "FALSE: the checkpoint is not signed by that of your keys which counts for a log of 15\n"
    assert (done.returncode, done.stderr) == (1, said)


@pytest.mark.parametrize(("change", "holds"), [(14, False), (15, True), (16, True)])
async def test_a_key_that_was_retired_proves_nothing_of_what_came_after_it(tmp_path, change, holds):
    """Whoever stole it can sign a checkpoint of any size; the next key says in log.pub from which size on it signs."""
    new = Log(LOG.sealed, Ed25519PrivateKey.from_private_bytes(b"\x01" * 32))
    keys = f"{LOG.key}\n{new.key} after {change}"
    by_old, by_new = await made(), await made(place=Shelf(new))
    assert checked(tmp_path, by_old, keys).returncode == (0 if holds else 1)
    assert checked(tmp_path, by_new, keys).returncode == (1 if holds else 0)
    assert checked(tmp_path, by_old, f"{LOG.key}\n{new.key}").returncode == 1, (
        "a line that says nothing excludes the old"
    )


async def test_up_to_a_moment_only_what_was_told_by_then_is_proved(tmp_path):
    assert [told["channel"] for told in (await made(until=at(150)))["messages"]] == ["email"]
    assert checked(tmp_path, await made(until=at(150))).returncode == 0


async def test_nothing_is_proved_from_a_log_that_does_not_verify():
    broken = Log(LOG.sealed[:3] + LOG.sealed[4:], LOG.private)
    with pytest.raises(AuditError, match="nothing can be proved from it"):
        await made(place=Shelf(broken))


async def test_what_is_newer_than_the_checkpoint_is_not_proved_yet():
    with pytest.raises(AuditError, match="entry 4 is newer than the last checkpoint: try again in a second"):
        await made(place=Shelf(checkpoint=LOG.checkpoint(4)))


async def test_words_that_were_changed_or_are_gone_prove_nothing():
    mail, text = words()
    false = mail.__class__(
        **{**{n: getattr(mail, n) for n in mail.__slots__}, "value": mail.value.replace(b"slow", b"fast")}
    )
    with pytest.raises(AuditError, match="was changed: its bytes have another hash"):
        await made(place=Shelf(said=[false, text]))
    with pytest.raises(AuditError, match="are not at hand"):
        await made(place=Shelf(said=[text]))


async def test_a_commitment_that_says_otherwise_than_its_entry_proves_nothing():
    """As if the appender had committed to a batch without Cora, to be able to show it so."""
    log = sealed()
    place = next(n for n, one in enumerate(log) if one.entry.record_type.endswith("recipients_committed.v1"))
    other = sealed((*RECORDS[:3], intended(MAIL, Channel.EMAIL, ANNA, BEN)))
    assert log[place].entry.body["root"] != other[place].entry.body["root"]
    body = {**other[place].entry.body}
    gathered, messages, said = await read(Shelf(), ANNA, None, INCIDENT)
    for kept in gathered.kept:
        if kept.entry.index == place:
            kept.entry.body.update(body)
    with pytest.raises(AuditError, match="does not commit to them"):
        proof_of(Subject(INCIDENT, ANNA, ""), gathered, messages, said)


async def test_the_page_shows_words_and_script_and_nothing_of_the_others():
    proof = await made()
    html = page(proof)
    assert "Since 13:00 CET searches take long." in html
    assert "it speaks of 2 others, who are not shown" in html
    assert not re.search(f"{BEN}|{CORA}", html)
    assert "<script" not in html
    assert SCRIPT.read_text("utf-8").splitlines()[0] in html
