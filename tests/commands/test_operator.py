"""`tocsin operator`: who is registered, with which key and which roles."""

from pathlib import Path

import pytest

from pipeline import authority
from pipeline.broker import connect
from pipeline.operators import Registry, key_file, make_key
from pipeline.settings import Settings
from pipeline.vault import Vault
from schemas import topics
from tests.commands.running import tocsin

OTHER = authority.base64url(b"\x01" * 32)


async def registry(settings: Settings) -> Registry:
    found = Registry(Vault.open(settings))
    async for record in connect.read_all(settings, topics.OPERATORS.name):
        found.apply(record)
    return found


async def test_an_operator_is_added_with_a_key_of_their_own(own_broker: Settings) -> None:
    result = await tocsin(own_broker, "operator", "add", "ann", "--role", "legal", "--role", "incident-manager")
    assert result.exit_code == 0, result.output
    found = (await registry(own_broker)).get("ann")
    assert found is not None
    assert found.roles == ("legal", "incident-manager")
    key = make_key(own_broker, "ann").public_key
    assert found.public_key == key
    assert key in result.stdout
    listed = await tocsin(own_broker, "operator", "list")
    for told in ("ann", "legal incident-manager", key, "yes", "1 operators"):
        assert told in listed.stdout
    assert (await tocsin(own_broker, "operator", "key", "ann")).stdout == f"{key}\n"
    secret = key_file(own_broker, "ann").read_text().splitlines()[1]
    assert secret not in result.output + listed.output


async def test_somebody_elses_key_is_registered_without_holding_it(own_broker: Settings, tmp_path: Path) -> None:
    elsewhere = own_broker.model_copy(update={"data_dir": tmp_path / "elsewhere"})
    printed = await tocsin(elsewhere, "operator", "key", "ben", "--new")
    assert printed.exit_code == 0, printed.output
    file = tmp_path / "ben.pub"
    file.write_text(printed.stdout)
    for given in (str(file), printed.stdout):
        result = await tocsin(own_broker, "operator", "add", "ben", "--role", "legal", "--public-key", given)
        assert result.exit_code == 0, result.output
    assert not key_file(own_broker, "ben").exists()
    assert (await tocsin(own_broker, "operator", "key", "ben")).stdout == printed.stdout


async def test_added_again_they_hold_the_roles_that_are_named_now(own_broker: Settings) -> None:
    await tocsin(own_broker, "operator", "add", "ben", "--role", "legal", "--public-key", OTHER)
    await tocsin(own_broker, "operator", "add", "ben", "--role", "communications")
    found = (await registry(own_broker)).get("ben")
    assert found is not None
    assert (found.roles, found.public_key) == (("communications",), OTHER)


async def test_a_removed_operator_is_gone_and_can_come_back(own_broker: Settings) -> None:
    await tocsin(own_broker, "operator", "add", "ann", "--role", "legal")
    removed = await tocsin(own_broker, "operator", "remove", "ann", "--yes")
    assert removed.exit_code == 0, removed.output
    assert str(key_file(own_broker, "ann")) in removed.stdout.replace("\n", "")
    assert (await registry(own_broker)).all() == []
    again = await tocsin(own_broker, "operator", "add", "ann", "--role", "legal")
    assert again.exit_code == 0, again.output
    assert (await registry(own_broker)).get("ann") is not None


async def test_removing_asks_first(own_broker: Settings) -> None:
    await tocsin(own_broker, "operator", "add", "ann", "--role", "legal")
    assert (await tocsin(own_broker, "operator", "remove", "ann", typed="n\n")).exit_code == 1
    assert (await registry(own_broker)).get("ann") is not None


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("add", "ann", "--role", "legal", "--public-key", OTHER), "operator remove ann"),
        (("add", "eve", "--role", "legal", "--public-key", "THE KEY OF ANN"), "this is the key of ann already"),
        (("add", "eve", "--role", "legal", "--public-key", "no key"), "no ed25519 public key"),
        (("add", "../eve", "--role", "legal"), "cannot be an operator's name"),
        (("remove", "eve", "--yes"), "there is no operator eve; there are: ann"),
        (("key", "eve"), "there is no operator eve"),
    ],
)
async def test_what_would_make_one_person_two_or_nobody_is_refused(
    own_broker: Settings, arguments: tuple[str, ...], told: str
) -> None:
    await tocsin(own_broker, "operator", "add", "ann", "--role", "legal")
    ann = make_key(own_broker, "ann").public_key
    result = await tocsin(own_broker, "operator", *(ann if one == "THE KEY OF ANN" else one for one in arguments))
    assert result.exit_code == 1
    assert told in result.stderr
    assert [one.name for one in (await registry(own_broker)).all()] == ["ann"]


async def test_a_role_must_be_a_word(own_broker: Settings) -> None:
    result = await tocsin(own_broker, "operator", "add", "ann", "--role", "the boss")
    assert result.exit_code == 2
    assert not key_file(own_broker, "ann").exists()


async def test_a_role_that_the_policy_does_not_name_is_warned_of_and_taken(own_broker: Settings) -> None:
    nothing_published = await tocsin(own_broker, "operator", "add", "ann", "--role", "legal")
    assert "knows no role legal, so it allows nothing yet (none is published)" in nothing_published.stderr
    from pipeline.policy.publish import publish

    await publish(own_broker)
    result = await tocsin(own_broker, "operator", "add", "ann", "--role", "legal", "--role", "juggler")
    assert result.exit_code == 0, result.output
    assert "knows no role juggler" in result.stderr
    assert "knows no role legal" not in result.stderr
