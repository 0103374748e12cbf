"""`tocsin incident`: what a person on call says about an incident, by flags or by answering a few questions."""

import asyncio
import secrets
import sys
from collections.abc import Callable
from datetime import datetime
from inspect import Parameter
from typing import Annotated, Any

import typer

from pipeline.clock import now as real_now
from pipeline.commands import facts
from pipeline.errors import NotFound
from pipeline.settings import Settings
from schemas import codec, topics
from schemas.incident import IncidentEvent, IncidentResolved, ReviewPublished

SOURCE = "/tocsin/cli"
YES = typer.Option("--yes", "-y", help="Ask nothing, and send without confirmation.")

app = typer.Typer(no_args_is_help=True, help="Open, update or resolve an incident.")


def new_id(at: datetime, token: str) -> str:
    """An incident's id that can be said on the telephone: INC-20260304-7k2m."""
    return f"INC-{at:%Y%m%d}-{token}"


def _token() -> str:
    return "".join(secrets.choice("23456789abcdefghjkmnpqrstvwxyz") for _ in range(4))


def interactive() -> bool:
    """Whether a person sits at the terminal."""
    return sys.stdin.isatty()


def speak(name: str, incident: str | None, said: facts.Answers, yes: bool) -> None:
    """Asks what is missing, shows what will be said, sends it, and says what the broker accepted."""
    kind, now, settings = facts.KINDS[name], real_now(), Settings()
    opening = name == "open"
    if not opening:
        incident = asyncio.run(_existing(settings, incident))
    asked = interactive() and not yes
    if asked:
        said = facts.ask(kind, said, _prompt, now)
    event = facts.build(kind, said, now)
    incident = incident or new_id(now, _token())
    if asked and not _confirmed(incident, event):
        typer.echo("nothing was sent")
        raise typer.Exit(1)
    outgoing = codec.encode(
        topics.INCIDENT_EVENTS, event, id=secrets.token_hex(16), source=SOURCE, subject=incident, time=now
    )
    accepted = asyncio.run(_send(settings, outgoing))
    typer.echo(f"accepted: {incident} ({accepted.topic}, partition {accepted.partition}, offset {accepted.offset})")
    typer.echo(f"next: {_next_command(incident, event)}")


def _next_command(incident: str, event: IncidentEvent) -> str:
    if isinstance(event, IncidentResolved):
        return f"tocsin replay {incident}\nafter the cool-down: tocsin incident review {incident}"
    if isinstance(event, ReviewPublished):
        return f"tocsin replay {incident}"
    return f"tocsin incident update {incident}\nwhat was said to whom: tocsin replay {incident}"


async def _send(settings: Settings, outgoing: codec.Outgoing) -> Any:
    from pipeline.broker import connect

    async with connect.open_producer(settings) as producer:
        return await connect.send(producer, outgoing)


async def _existing(settings: Settings, incident: str | None) -> str:
    """The incident that is meant: it must have been opened; without an id, the only open one.

    A mistyped id would otherwise tell people of an incident that there is not. Raises NotFound, which lists the open
    ones.
    """
    from pipeline.commands import overview

    if incident is not None and await overview.was_announced(settings, incident):
        return incident
    open_ones = await overview.open_incidents(settings)
    if incident is None and len(open_ones) == 1:
        return open_ones[0]
    listed = ", ".join(open_ones) or "none"
    if incident is not None:
        raise NotFound(f"there is no incident {incident}; open are: {listed}")
    raise NotFound(f"which incident? open are: {listed}")


def _prompt(question: facts.Question, check: Callable[[str], Any]) -> Any:
    """Asks until the answer is usable; Enter takes the default or leaves it unsaid."""
    hint = "" if question.default or question.required else " (Enter: not said)"
    while True:
        text = typer.prompt(question.text + hint, default=question.default or "", show_default=bool(question.default))
        try:
            answer = check(text)
        except typer.BadParameter as error:
            typer.secho(
                str(error).removeprefix(f"--{question.flag.replace('_', '-')}: "), fg=typer.colors.RED, err=True
            )
            continue
        if answer is not None or not question.required:
            return answer


def _confirmed(incident: str, event: IncidentEvent) -> bool:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    what = type(event).TYPE.removeprefix("io.tocsin.").removesuffix(".v1")
    table = Table("what", "said", "who may see it", title=f"{incident}: {what}", title_justify="left")
    for name, value, audience in facts.shown(event, _local):
        table.add_row(name, escape(value), audience)
    Console().print(table)
    return typer.confirm("Send it?", default=True)


def _local(at: datetime) -> str:
    here = at.astimezone()
    return f"{at:%Y-%m-%d %H:%M} UTC" + (f" ({here:%H:%M %Z})" if here.utcoffset() else "")


def _register(name: str, kind: facts.Kind) -> None:
    """A subcommand with one option for each fact that its event can hold."""
    if name == "open":
        which = Parameter(
            "incident",
            Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[str | None, typer.Option("--id", help="The incident's id.", show_default="generated")],
        )
    else:
        which = Parameter(
            "incident",
            Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[
                str | None, typer.Argument(help="The incident's id.", show_default="the only open incident")
            ],
        )
    yes = Parameter("yes", Parameter.KEYWORD_ONLY, default=False, annotation=Annotated[bool, YES])

    def command(*, incident: str | None, yes: bool, **said: Any) -> None:
        speak(name, incident, said, yes)

    command.__signature__ = facts.signature(kind, which, yes)  # type: ignore[attr-defined]  # typer reads it there
    command.__annotations__ = {}
    app.command(name, help=kind.help)(command)


for _name, _kind in facts.KINDS.items():
    _register(_name, _kind)
