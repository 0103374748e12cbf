"""The command `tocsin`: every subcommand is its own module, imported only when it is called.

`tocsin --help` must answer at once, and `tocsin incident open` at three in the morning must not wait for a stream
processor to be imported; so the table below holds what the help page says, and nothing else is loaded for it.
"""

import importlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from pipeline.errors import TocsinError

ON_CALL, RUN, LOOK_BACK, SET_UP = "On call", "Run", "Look back", "Set up"


@dataclass(frozen=True)
class Entry:
    """A line of the help page; the module is `pipeline.commands.<name>`."""

    panel: str
    help: str


COMMANDS: dict[str, Entry] = {
    "incident": Entry(ON_CALL, "Open, update or resolve an incident; approve, hold back, correct."),
    "status": Entry(ON_CALL, "Workers, lag, open incidents, and what is due."),
    "deliveries": Entry(ON_CALL, "Messages that wait for a person: list them, try again, give up."),
    "deadletters": Entry(ON_CALL, "Input that could not be used: list, show, replay."),
    "demo": Entry(RUN, "Play a large incident end to end on this machine, then verify the log."),
    "up": Entry(RUN, "Start broker, rooms and web service, one process each, until Ctrl-C."),
    "web": Entry(RUN, "The HTTP service: unsubscribing, status callbacks."),
    "projector": Entry(RUN, "Keep the SQL projection up with the log."),
    "sandbox": Entry(RUN, "Stand-ins for SMTP, Twilio and X that keep what they receive."),
    "kafka": Entry(RUN, "Apache Kafka on this machine, without Docker."),
    "trim": Entry(RUN, "Have Kafka forget what ended long ago and the archive holds."),
    "play": Entry(RUN, "Play recorded incidents in compressed time."),
    "bench": Entry(RUN, "Measure how fast it is, beside other people's tools in the same run."),
    "replay": Entry(LOOK_BACK, "The timeline of an incident: what came in, what was decided, what was said."),
    "explain": Entry(LOOK_BACK, "Why someone heard of an incident, or did not: rule by rule."),
    "backtest": Entry(LOOK_BACK, "Recorded incidents through a policy: who would have been told what, and when."),
    "audit": Entry(LOOK_BACK, "The sealed log: verify it, ask it, prove from it, hand it on."),
    "report": Entry(LOOK_BACK, "How people were told: first notices, silences, promises, reach, over time."),
    "rebuild": Entry(LOOK_BACK, "The SQL projection anew from the log, while the old one serves."),
    "subscribers": Entry(SET_UP, "Who is to be told: import, list, erase."),
    "receipts": Entry(SET_UP, "Bounces and complaints collected in a mailbox: take them in."),
    "operator": Entry(SET_UP, "Who may order something: their keys and roles."),
    "policy": Entry(SET_UP, "The documents that decisions are made under: check, show, publish."),
    "schema": Entry(SET_UP, "The wire as JSON Schemas and AsyncAPI."),
}


class LazyGroup(TyperGroup):
    """Lists the table without importing anything; loads a subcommand when it is called for."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        stubs = {
            name: TyperCommand(name, help=entry.help, rich_help_panel=entry.panel) for name, entry in COMMANDS.items()
        }
        self.commands = {**stubs, **self.commands}

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The real command in place of its line of help."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, load(name) if name in COMMANDS else command, rest

    def main(self, args: Sequence[str] | None = None, *rest: Any, **options: Any) -> Any:
        """Runs a command; an error that its user can act on becomes one red line and exit status 1."""
        try:
            return super().main(args, *rest, **options)
        except KeyboardInterrupt:  # outside of a command, which typer handles itself
            sys.exit(130)
        except Exception as error:
            if (line := explained(error)) is None:
                raise
            typer.secho(f"error: {line}", fg=typer.colors.RED, err=True)
            sys.exit(1)


def load(name: str) -> Any:
    """The subcommand `name`: its module's `app`, or the plain function that bears the module's name."""
    module = importlib.import_module(f"pipeline.commands.{name}")
    if (group := getattr(module, "app", None)) is None:
        group = typer.Typer()
        group.command(name)(getattr(module, name))
    group._add_completion = False  # the root installs it, once
    command = typer.main.get_command(group)
    command.name = name
    return command


def explained(error: BaseException) -> str | None:
    """What to tell the user of `error`; None where it is a defect of ours and the traceback is wanted."""
    if isinstance(error, TocsinError):
        return str(error)
    if type(error).__name__ == "ValidationError" and getattr(error, "title", None) == "Settings":
        problems = [(f"TOCSIN_{'_'.join(map(str, e['loc'])).upper()}", e["msg"]) for e in error.errors()]  # type: ignore[attr-defined]
        return "; ".join(f"{name}: {message}" for name, message in problems)
    return None


class Role(StrEnum):
    """A room."""

    DECIDE = "decide"
    DELIVER = "deliver"
    RECORD = "record"


app = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    help="Tells people about outages: first, clearly, on their own channel, and proves what it told whom and when.",
    pretty_exceptions_show_locals=False,  # locals hold addresses and keys
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"tocsin {version('tocsin')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command(rich_help_panel=RUN)
def worker(role: Annotated[Role, typer.Argument(help="The room to work in.")]) -> None:
    """One worker of a room: decide, deliver or record."""
    # The rooms are the Faust edge, which nothing here may import; and a process of its own gets the signals itself.
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "agents", role.value])  # noqa: S606 - the interpreter we run in


def main() -> None:
    """The console script."""
    app()


if __name__ == "__main__":
    main()
