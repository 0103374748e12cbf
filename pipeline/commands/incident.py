"""`tocsin incident`: what a person on call says about an incident, by flags or by answering a few questions."""

import asyncio
import secrets
from collections.abc import Callable
from datetime import datetime
from inspect import Parameter
from typing import Annotated, Any

import typer

from pipeline.clock import now as real_now
from pipeline.commands import facts, orders, terminal
from pipeline.commands.terminal import SOURCE
from pipeline.settings import Settings
from schemas import codec, topics
from schemas.incident import IncidentEvent, IncidentResolved, ReviewPublished

app = typer.Typer(no_args_is_help=True, help="Open, update or resolve an incident; approve, hold back, correct.")


def new_id(at: datetime, token: str) -> str:
    """An incident's id that can be said on the telephone: INC-20260304-7k2m."""
    return f"INC-{at:%Y%m%d}-{token}"


def _token() -> str:
    return "".join(secrets.choice("23456789abcdefghjkmnpqrstvwxyz") for _ in range(4))


def speak(name: str, incident: str | None, said: facts.Answers, yes: bool, operator: str | None) -> None:
    """Asks what is missing, shows what will be said, sends it, and says what the broker accepted."""
    kind, now, settings = facts.KINDS[name], real_now(), Settings()
    signer = terminal.author(settings, operator)
    if name != "open":
        incident = terminal.existing(settings, incident)
    elif incident is not None:
        terminal.not_closed(settings, incident)
    asked = terminal.interactive() and not yes
    if asked:
        said = facts.ask(kind, said, _prompt, now)
    event = facts.build(kind, said, now)
    incident = incident or new_id(now, _token())
    if asked and not _confirmed(incident, event):
        typer.echo("nothing was sent")
        raise typer.Exit(1)
    id = secrets.token_hex(16)
    outgoing = codec.encode(
        topics.INCIDENT_EVENTS,
        event,
        id=id,
        source=SOURCE,
        subject=incident,
        time=now,
        extensions=signer.extensions(incident, id, SOURCE, event) if signer else None,
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
    what = type(event).TYPE.removeprefix("io.tocsin.").removesuffix(".v1")
    terminal.show_facts(f"{incident}: {what}", event)
    return typer.confirm("Send it?", default=True)


def _register(name: str, kind: facts.Kind[IncidentEvent]) -> None:
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
    yes = Parameter("yes", Parameter.KEYWORD_ONLY, default=False, annotation=terminal.Yes)
    operator = Parameter("operator", Parameter.KEYWORD_ONLY, default=None, annotation=terminal.As)

    def command(*, incident: str | None, yes: bool, operator: str | None, **said: Any) -> None:
        speak(name, incident, said, yes, operator)

    command.__signature__ = facts.signature(kind, which, operator, yes)  # type: ignore[attr-defined]  # typer reads it there
    command.__annotations__ = {}
    app.command(name, help=kind.help)(command)


for _name, _kind in facts.KINDS.items():
    _register(_name, _kind)
app.add_typer(orders.app)
