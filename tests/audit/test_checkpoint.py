from pathlib import Path

import pytest

from pipeline.audit.checkpoint import EVERY_ENTRIES, Notary, checkpoint_path, open_key
from pipeline.audit.keys import KeyFiles, public_key_path
from pipeline.audit.note import PublicKey, read_checkpoint, sign
from pipeline.audit.seal import Chain
from pipeline.audit.tree import leaf_hash
from pipeline.audit.verify import Vouchers, verify
from pipeline.errors import AuditError, ConfigurationError
from tests.audit.logs import no_file_larger_than, receipt, seal_all


class Ticks:
    """A monotonic clock that is turned by hand."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def chains(count: int, text: str = "") -> list[Chain]:
    """Every state of a log from the empty one on."""
    found = [Chain()]
    for number in range(count):
        found.append(found[-1].append(leaf_hash(f"{text}{number}".encode())))
    return found


def notary(data_dir: Path, states: list[Chain], ticks: Ticks | None = None) -> Notary:
    made = Notary(data_dir, KeyFiles(data_dir), ticks or Ticks())
    for state in states:
        made.follow(state)
    return made


def test_the_key_is_made_once_and_kept_from_others(tmp_path):
    key, public = open_key(tmp_path, KeyFiles(tmp_path))
    path = tmp_path / "keys" / "log.ed25519"
    assert path.stat().st_mode & 0o777 == 0o600
    again, _ = open_key(tmp_path, KeyFiles(tmp_path))
    assert again.private_bytes_raw() == key.private_bytes_raw()
    assert PublicKey.parse(public_key_path(tmp_path).read_text()) == public


def test_a_key_that_others_may_read_is_refused_with_the_remedy(tmp_path):
    open_key(tmp_path, KeyFiles(tmp_path))
    (tmp_path / "keys" / "log.ed25519").chmod(0o644)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        open_key(tmp_path, KeyFiles(tmp_path))


def test_a_damaged_key_is_refused(tmp_path):
    open_key(tmp_path, KeyFiles(tmp_path))
    (tmp_path / "keys" / "log.ed25519").write_bytes(b"")
    with pytest.raises(ConfigurationError, match="damaged"):
        open_key(tmp_path, KeyFiles(tmp_path))


def test_a_lost_public_key_is_written_again(tmp_path):
    _, public = open_key(tmp_path, KeyFiles(tmp_path))
    public_key_path(tmp_path).unlink()
    open_key(tmp_path, KeyFiles(tmp_path))
    assert PublicKey.parse(public_key_path(tmp_path).read_text()) == public


def test_what_it_signs_the_verifier_believes(tmp_path):
    sealed = seal_all(map(receipt, range(5)))
    made = notary(tmp_path, [Chain(), *(one.chain for one in sealed)])
    made.sign(sealed[-1].chain)
    vouchers = Vouchers(checkpoint_path(tmp_path).read_bytes(), str(made.public))
    result = verify(((one.value, None) for one in sealed), vouchers)
    assert (result.ok, result.signed) == (True, 5)


def test_it_signs_at_once_then_every_second(tmp_path):
    ticks, states = Ticks(), chains(3)
    made = notary(tmp_path, states[:2], ticks)
    assert made.due()
    made.sign(states[1])
    assert not made.due()
    made.follow(states[2])
    ticks.seconds = 0.9
    assert not made.due()
    ticks.seconds = 1.0
    assert made.due()


def test_it_signs_after_a_thousand_entries_even_within_the_second(tmp_path):
    states = chains(EVERY_ENTRIES + 1)
    made = notary(tmp_path, states[:2])
    made.sign(states[1])
    for state in states[2:-1]:
        made.follow(state)
    assert not made.due()
    made.follow(states[-1])
    assert made.due()


def test_nothing_new_is_not_signed_again(tmp_path):
    states = chains(2)
    made = notary(tmp_path, states)
    made.sign(states[-1])
    before = checkpoint_path(tmp_path).stat().st_mtime_ns, checkpoint_path(tmp_path).read_bytes()
    made.sign(states[-1])
    assert (checkpoint_path(tmp_path).stat().st_mtime_ns, checkpoint_path(tmp_path).read_bytes()) == before


def test_the_next_process_goes_on_from_the_last_checkpoint(tmp_path):
    states = chains(6)
    notary(tmp_path, states[:4]).sign(states[3])
    made = notary(tmp_path, states)
    made.sign(states[-1])
    assert read_checkpoint(checkpoint_path(tmp_path).read_bytes(), made.public).size == 6


def test_a_forked_log_is_not_signed(tmp_path):
    notary(tmp_path, chains(4)).sign(chains(4)[-1])
    with pytest.raises(AuditError, match="forked"):
        notary(tmp_path, chains(6, "other"))


def test_a_cut_log_is_not_signed(tmp_path):
    notary(tmp_path, chains(4)).sign(chains(4)[-1])
    made = notary(tmp_path, chains(3))
    with pytest.raises(AuditError, match=r"cut: .* signed for 4 entries, and it ends after 3"):
        made.sign(chains(3)[-1])


def test_a_log_that_does_not_continue_what_was_followed_is_not_signed(tmp_path):
    made = notary(tmp_path, chains(4))
    with pytest.raises(AuditError, match="does not continue"):
        made.sign(chains(4, "other")[-1])


def test_a_checkpoint_that_was_exchanged_meanwhile_is_not_overwritten(tmp_path):
    states = chains(6)
    made = notary(tmp_path, states[:4])
    made.sign(states[3])
    older = checkpoint_path(tmp_path).read_bytes()
    for state in states[4:6]:
        made.follow(state)
        made.sign(state)
    made.follow(chains(7)[6])
    checkpoint_path(tmp_path).write_bytes(older)
    with pytest.raises(AuditError, match="changed by someone else"):
        made.sign(chains(7)[6])


def test_a_checkpoint_of_another_key_stops_everything(tmp_path):
    notary(tmp_path, chains(2)).sign(chains(2)[-1])
    (tmp_path / "keys" / "log.ed25519").unlink()
    with pytest.raises(AuditError, match="put the key back that it was signed with"):
        Notary(tmp_path, KeyFiles(tmp_path), Ticks())


def test_a_checkpoint_of_the_right_key_for_another_origin_is_refused(tmp_path):
    key, public = open_key(tmp_path, KeyFiles(tmp_path))
    checkpoint_path(tmp_path).parent.mkdir(parents=True)
    checkpoint_path(tmp_path).write_bytes(sign("elsewhere\n0\n" + "A" * 43 + "=\n", public.name, key))
    with pytest.raises(AuditError, match="elsewhere"):
        Notary(tmp_path, KeyFiles(tmp_path), Ticks())


def test_a_full_disk_is_named_and_the_last_checkpoint_stays(tmp_path):
    states = chains(2)
    made = notary(tmp_path, states[:2])
    made.sign(states[1])
    before = checkpoint_path(tmp_path).read_bytes()
    made.follow(states[2])
    with no_file_larger_than(10), pytest.raises(AuditError, match="cannot be written"):
        made.sign(states[2])
    assert checkpoint_path(tmp_path).read_bytes() == before
    made.sign(states[2])
    assert made.last.size == 2
