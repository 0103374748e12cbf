"""`tocsin operator`: who may order something: their keys and their roles."""

import asyncio
import getpass
import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.clock import now
from pipeline.errors import ConfigurationError, NotFound, PolicyError
from pipeline.operators import Registry, key_file, make_key, public_key_of, record, registered, signer, tombstone
from pipeline.settings import Settings
from pipeline.vault import Vault
from schemas import topics
from schemas.base import is_id
from schemas.codec import Outgoing
from schemas.incident import Facts, For
from schemas.operator import Operator

if TYPE_CHECKING:
    from pipeline.policy import Policy

app = typer.Typer(no_args_is_help=True, help="Who may order something: add, list, remove, key.")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The operator's name: letters, digits and . _ : - only.")]


@app.command()
def add(
    name: Name,
    role: Annotated[list[str], typer.Option("--role", help="A role that the policy names; repeat it for more.")],
    public_key: Annotated[
        str | None,
        typer.Option(
            "--public-key", metavar="FILE|TEXT", help="Somebody else's key, as `tocsin operator key` printed it."
        ),
    ] = None,
) -> None:
    """Register an operator with the roles they hold; a key is made for them if there is none.

    Added again under the same key, they hold exactly the roles that are named now.
    """
    settings = Settings()
    key_file(settings, name)  # refuses a name that cannot be one
    if wrong := [one for one in role if not is_id(one)]:
        raise typer.BadParameter(f"--role: {wrong[0]!r} cannot be a role: letters, digits and . _ : - only")
    vault, registry = Vault.open(settings), asyncio.run(_registry(settings))
    key = _key(settings, registry, name, public_key)
    operator = registered(vault, name, key, role, registry.next_since(name, now()), _who(settings))
    asyncio.run(_write(settings, record(operator)))
    typer.echo(f"{name} may act as {', '.join(operator.roles)}; public key {key}")
    for unknown in sorted(set(role) - (named := asyncio.run(_roles(settings)))):
        known = f"it names {', '.join(sorted(named))}" if named else "none is published"
        typer.secho(
            f"warning: the policy knows no role {unknown}, so it allows nothing yet ({known})",
            fg=typer.colors.YELLOW,
            err=True,
        )


@app.command("list")
def list_() -> None:
    """Every operator, with roles and public key."""
    from rich.console import Console
    from rich.table import Table

    settings = Settings()
    operators = asyncio.run(_registry(settings)).all()
    table = Table("name", "roles", "since", "by", "key here", "public key")
    for one in operators:
        here = "yes" if key_file(settings, one.name).exists() else ""
        table.add_row(one.name, " ".join(one.roles), f"{one.since:%Y-%m-%d %H:%M} UTC", one.by, here, one.public_key)
    Console(soft_wrap=not sys.stdout.isatty(), markup=False).print(table)
    typer.echo(f"{len(operators)} operators")


@app.command()
def remove(name: Name, yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False) -> None:
    """Take an operator away: what they order from then on is refused. What they ordered before stands."""
    settings = Settings()
    _known(asyncio.run(_registry(settings)), name)
    if not yes:
        typer.confirm(f"take {name} away?", abort=True)
    asyncio.run(_write(settings, tombstone(name)))
    typer.echo(f"{name} may order nothing any more")
    if (path := key_file(settings, name)).exists():
        typer.echo(f"their private key is still in {path}: delete it")


@app.command()
def key(
    name: Name,
    new: Annotated[bool, typer.Option("--new", help="Make a key here, if there is none.")] = False,
) -> None:
    """Print an operator's public key, for `tocsin operator add NAME --public-key`."""
    settings = Settings()
    if new:
        typer.echo(make_key(settings, name).public_key)
    elif key_file(settings, name).exists():
        typer.echo(signer(settings, name).public_key)
    else:
        typer.echo(_known(asyncio.run(_registry(settings)), name).public_key)


def _key(settings: Settings, registry: Registry, name: str, given: str | None) -> str:
    """The public key to register: the one given, the one that is here, the one registered before, or a new one.

    Raises ConfigurationError where it would take another's place, or is another's: one person must not count as two.
    """
    before = registry.get(name)
    if given is not None:
        public = public_key_of(given)
    elif before is not None and not key_file(settings, name).exists():
        public = before.public_key
    else:
        public = make_key(settings, name).public_key
    if before is not None and before.public_key != public:
        raise ConfigurationError(f"{name} is registered with another key: `tocsin operator remove {name}` comes first")
    for other in registry.all():
        if other.name != name and other.public_key == public:
            raise ConfigurationError(f"this is the key of {other.name} already: every operator has a key of their own")
    return public


def _known(registry: Registry, name: str) -> Operator:
    if (found := registry.get(name)) is None:
        known = ", ".join(one.name for one in registry.all()) or "none"
        raise NotFound(f"there is no operator {name}; there are: {known}")
    return found


def _who(settings: Settings) -> str:
    """Who adds somebody, for the record."""
    if settings.operator:
        return settings.operator
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # in a container the user may have no name
        return f"uid {os.getuid()}"


async def _registry(settings: Settings) -> Registry:
    from pipeline.broker import connect

    registry = Registry(Vault.open(settings))
    async for found in connect.read_all(settings, topics.OPERATORS.name):
        registry.apply(found)
    return registry


async def _write(settings: Settings, outgoing: Outgoing) -> None:
    from pipeline.broker import connect

    async with connect.open_producer(settings) as producer:
        await connect.send(producer, outgoing)


async def _roles(settings: Settings) -> set[str]:
    """Every role that the published policy names. One that cannot be read names none."""
    from pipeline import policy
    from pipeline.policy.publish import latest

    try:
        published = await latest(settings)
        return set() if published is None else roles_of(policy.compile(published))
    except PolicyError:
        return set()


def roles_of(policy: "Policy") -> set[str]:
    """Every role by which the policy, or the wire itself, lets somebody approve or order something."""
    audience = policy.audience
    named = {policy.guard.approver, *audience.commanders, *audience.releasers, *audience.field_approvals.values()}
    named |= {role for group in audience.audiences.values() if group.consent for role in group.consent.by}
    named |= set(audience.two_people.by) if audience.two_people else set()
    named |= {terms.approval for terms in policy.catalogue.contracts.values() if terms.approval}
    return named | {
        mark.approval
        for info in Facts.model_fields.values()
        for mark in info.metadata
        if isinstance(mark, For) and mark.approval
    }
