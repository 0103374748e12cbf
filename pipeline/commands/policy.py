"""`tocsin policy`: the documents that decisions are made under."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from pipeline import policy
from pipeline.commands.findings import findings
from pipeline.decide.rehearse import rehearse
from pipeline.errors import NotFound
from pipeline.policy.described import described
from pipeline.policy.difference import by_prefix, difference
from pipeline.settings import Settings
from schemas.base import rfc3339

if TYPE_CHECKING:
    from pipeline.policy.publish import Version

SHORT = 12
"""Of a hash, so many characters are shown, and are enough to name a version."""

app = typer.Typer(no_args_is_help=True, help="The documents that decisions are made under: check, show, publish.")
app.command()(findings)

Directory = Annotated[
    Path | None,
    typer.Argument(
        help="A directory of documents, or the name of a policy that ships; unset: TOCSIN_POLICY_DIR.",
        show_default=False,
    ),
]


@app.command()
def check(directory: Directory = None) -> None:
    """Read the documents and speak every kind of notice; nothing is published. Faults are named with line and fix."""
    compiled = policy.compile(policy.load(directory or Settings().policy_dir))
    spoken = rehearse(compiled)
    typer.echo(f"{compiled.name} is sound: {spoken} texts rehearsed (hash {compiled.hash})")


@app.command()
def show(directory: Directory = None) -> None:
    """Say in words who hears what when, and by whose approval: under the policy in force, or under another."""
    from pipeline.policy.publish import latest  # the broker's client is not imported where it is not needed

    published = policy.load(directory) if directory is not None else asyncio.run(latest(Settings()))
    if published is None:
        raise NotFound(
            "no policy was published yet; `tocsin policy publish` does it, `tocsin policy show DIR` needs none"
        )
    for line in described(policy.compile(published)):
        typer.echo(line)


@app.command()
def publish() -> None:
    """Publish the policy in TOCSIN_POLICY_DIR; what is decided from then on is decided under it."""
    from pipeline.policy.publish import publish as publish_now  # see above

    settings = Settings()
    new = asyncio.run(publish_now(settings))
    published = policy.load(settings.policy_dir)
    typer.echo(f"{published.name} {'published' if new else 'is in force already'} (hash {published.hash})")


@app.command()
def history(
    diff: Annotated[
        tuple[str, str] | None,
        typer.Option(metavar="A B", help="What changed between two versions, each by the beginning of its hash."),
    ] = None,
) -> None:
    """Every version that was ever published, and which is in force."""
    found = asyncio.run(_versions(Settings()))
    if diff is None:
        Console(highlight=False).print(_table(found))
        return
    published = [version.published for version in found]
    old, new = by_prefix(diff[0], published), by_prefix(diff[1], published)
    for line in difference(old, new):
        typer.echo(line)


async def _versions(settings: Settings) -> list["Version"]:
    from pipeline.policy.publish import versions  # see above

    return [version async for version in versions(settings)]


def _table(found: list["Version"]) -> Table:
    usable = [version for version in found if version.fault is None]
    table = Table("published", "policy", "hash", "by", "")
    for version in found:
        said = "in force" if usable and version is usable[-1] else ""
        said = f"cannot be used: {version.fault.splitlines()[0]}" if version.fault else said
        published = version.published
        table.add_row(rfc3339(version.at), published.name, published.hash[:SHORT], version.by or "unknown", said)
    return table
