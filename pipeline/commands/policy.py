"""`tocsin policy`: the documents that decisions are made under."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from pipeline import policy
from pipeline.decide.rehearse import rehearse
from pipeline.errors import NotFound
from pipeline.policy import Policy
from pipeline.settings import Settings
from schemas.journal import NoticeKind

app = typer.Typer(no_args_is_help=True, help="The documents that decisions are made under: check, publish.")

Directory = Annotated[Path | None, typer.Argument(help="The documents; unset: TOCSIN_POLICY_DIR.", show_default=False)]


@app.command()
def check(directory: Directory = None) -> None:
    """Read the documents and try every template; nothing is published. Wrong ones are named with line and fix."""
    compiled = policy.compile(policy.load(directory or Settings().policy_dir))
    spoken = rehearse(compiled)
    typer.echo(f"{compiled.name} is sound: {spoken} notices rehearsed (hash {compiled.hash})")


@app.command()
def show(directory: Directory = None) -> None:
    """Say in words who is told what: under the published policy, or under the one in a directory."""
    from pipeline.policy_publish import latest  # the broker's client is not imported where it is not needed

    settings = Settings()
    if directory is not None:
        published = policy.load(directory)
    else:
        name = settings.policy_dir.resolve().name
        found = asyncio.run(latest(settings, name))
        if found is None:
            raise NotFound(f"no policy called {name!r} was published yet; `tocsin policy publish` does it")
        published = found
    for line in in_words(policy.compile(published)):
        typer.echo(line)


@app.command()
def publish() -> None:
    """Publish the policy in TOCSIN_POLICY_DIR; what is decided from then on is decided under it."""
    from pipeline.policy_publish import publish as publish_now  # see above

    settings = Settings()
    new = asyncio.run(publish_now(settings))
    published = policy.load(settings.policy_dir)
    typer.echo(f"{published.name} {'published' if new else 'was published already'} (hash {published.hash})")


def in_words(compiled: Policy) -> list[str]:
    """The policy as lines to read."""
    lines = [f"{compiled.name}, hash {compiled.hash}"]
    for name, audience in compiled.audiences.items():
        lines.append(f"{name} see what is for level {audience.level}, from severity {audience.from_severity} on:")
        lines += [f"  by {channel}: {_kinds(kinds)}" for channel, kinds in audience.channels.items()]
    for word, size in (("small", compiled.cadence.sizes.small), ("large", compiled.cadence.sizes.large)):
        severities = ", ".join(size.severities)
        lines.append(f"{word} incidents ({severities}) are told at: {_kinds(size.told_at)}")
    lines += [f"{field} is told only with the approval of {whose}" for field, whose in compiled.approvals.items()]
    return lines


def _kinds(kinds: frozenset[NoticeKind]) -> str:
    if kinds == frozenset(NoticeKind):
        return "everything"
    return ", ".join(kind.replace("_", " ") for kind in NoticeKind if kind in kinds)
