"""The orders of `tocsin incident`: approve, reject, edit, publish now, hold, release, correct, retract. All signed.

Nobody signs what they have not seen: the words are shown, then a person at a terminal is asked, or a script says
`--yes`. What was decided on the order is awaited and said.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from inspect import Parameter
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from pydantic import ValidationError

from pipeline.clock import now as real_now
from pipeline.commands import facts, terminal
from pipeline.errors import TocsinError
from pipeline.settings import Settings
from schemas.command import (
    Approve,
    Correct,
    Edit,
    Hold,
    OperatorCommand,
    PublishNow,
    Reject,
    Release,
    Retract,
)

if TYPE_CHECKING:
    from pipeline.commands.answering import Reading
    from pipeline.operators import Signer

C = TypeVar("C", bound=OperatorCommand)

PANEL = "Orders, signed by an operator"

app = typer.Typer()

DraftId = Annotated[str, typer.Argument(metavar="DRAFT", help="The draft's id, or how it begins.")]
Incident = Annotated[str, typer.Argument(help="The incident's id.")]
OpenIncident = Annotated[str | None, typer.Argument(help="The incident's id.", show_default="the only open incident")]
Because = Annotated[str | None, typer.Option("--because", help="Why, for the record.", show_default=False)]
Audiences = Annotated[
    list[str] | None, typer.Option("--audience", help="An audience; repeat it for more.", show_default="all of them")
]
Seq = Annotated[int | None, typer.Option("--seq", help="The journal entry that told it.", show_default=False)]
Explanation = Annotated[str, typer.Option("--explanation", help="What was wrong, for those who read it.")]


class NotAsShown(TocsinError):
    """The words of a draft are not there, or are not those that an approval would name."""


@dataclass(frozen=True)
class Desk:
    """Where an operator gives orders: who they are, and what they know of the incident."""

    settings: Settings
    signer: "Signer"
    reading: "Reading"

    @classmethod
    def open(cls, operator: str | None, incident: str | None = None) -> "Desk":
        """Finds out who signs before anything is asked or read. Raises ConfigurationError, NotFound, BrokerError."""
        from pipeline.commands import answering  # neither broker nor cryptography is imported for a page of help
        from pipeline.operators import signer

        settings = Settings()
        author = signer(settings, operator)
        if incident is not None:
            terminal.not_closed(settings, incident)
        return cls(settings, author, asyncio.run(answering.read(settings, incident)))

    def show_told(self, incident: str, seq: int | None) -> int:
        """Shows what entry `seq` told, and gives its number back. Raises NotFound, which lists the entries."""
        from pipeline.commands import wording

        seq, notices = self.reading.board.notices(incident, seq)
        wording.show_words(self.settings, *notices)
        return seq

    def order(self, incident: str, command: OperatorCommand, question: str, yes: bool) -> None:
        """Asks, unless `yes`; sends; says what came of it. Exit status 1 where nothing did."""
        from pipeline.audit.sentences import sentences
        from pipeline.commands import answering

        if not yes:
            if not terminal.interactive():
                raise typer.BadParameter("nobody is there to confirm it: say --yes")
            if not typer.confirm(f"{question} (signed by {self.signer.name})", default=False):
                typer.echo("nothing was ordered")
                raise typer.Exit(1)
        entry = asyncio.run(answering.give(self.settings, self.signer, incident, command, self.reading))
        refused = any(decision.decision == "command_refused" for decision in entry.decisions)
        typer.echo(f"{incident}, entry {entry.seq}:" + ("" if entry.decisions else " nothing follows"))
        for _, text in sentences(entry.decisions):
            typer.secho(f"  {text}", fg=typer.colors.RED if refused else None)
        if refused:
            raise typer.Exit(1)


# --- looking


@app.command(rich_help_panel=PANEL)
def drafts(
    incident: Annotated[str | None, typer.Argument(help="The incident's id.", show_default="all of them")] = None,
    show: Annotated[bool, typer.Option("--show", help="The words as well, as they would go out.")] = False,
) -> None:
    """What waits for somebody's approval, whose, and who gave it so far."""
    from pipeline.commands import answering, wording

    settings = Settings()
    waiting = asyncio.run(answering.read(settings, incident)).board.waiting(incident)
    for draft in waiting:
        wording.show_draft(settings, draft, words=show)
    typer.echo(f"{len(waiting)} waiting" + ("; the words: tocsin incident show DRAFT" if waiting and not show else ""))


@app.command(rich_help_panel=PANEL)
def show(draft: DraftId) -> None:
    """The words of a draft, exactly as they would go out."""
    from pipeline.commands import answering, wording

    settings = Settings()
    wording.show_draft(settings, asyncio.run(answering.read(settings)).board.find(draft), words=True)


# --- drafts


@app.command(rich_help_panel=PANEL)
def approve(draft: DraftId, because: Because = None, operator: terminal.As = None, yes: terminal.Yes = False) -> None:
    """Let a draft go out, exactly as it is shown."""
    from pipeline.commands import wording

    desk = Desk.open(operator)
    found = desk.reading.board.find(draft)
    if not wording.show_draft(desk.settings, found, words=True):
        raise NotAsShown(
            f"draft {found.id}: the words that an approval would name are not all there (yet); look again in a moment"
        )
    command = _command(Approve, draft=found.id, content=found.content, because=because)
    desk.order(found.incident, command, "Let exactly this go out?", yes)


@app.command(rich_help_panel=PANEL)
def reject(draft: DraftId, because: Because = None, operator: terminal.As = None, yes: terminal.Yes = False) -> None:
    """A draft must not go out."""
    from pipeline.commands import wording

    desk = Desk.open(operator)
    found = desk.reading.board.find(draft)
    wording.show_draft(desk.settings, found, words=True)
    desk.order(found.incident, _command(Reject, draft=found.id, because=because), "Reject it?", yes)


def _edit(draft: str, because: str | None, operator: str | None, yes: bool, said: facts.Answers) -> None:
    from pipeline.commands import wording

    amended = facts.build(facts.AMENDED, said, real_now())
    desk = Desk.open(operator)
    found = desk.reading.board.find(draft)
    wording.show_draft(desk.settings, found, words=True)
    terminal.show_facts(f"{found.id}: to be said in its place", amended)
    command = _command(Edit, draft=found.id, facts=amended, because=because)
    desk.order(found.incident, command, "Make a new draft of it? Approvals given so far are void.", yes)


# --- what goes out of an incident


@app.command("publish-now", rich_help_panel=PANEL)
def publish_now(
    incident: OpenIncident = None, because: Because = None, operator: terminal.As = None, yes: terminal.Yes = False
) -> None:
    """Do not wait for the clock: what is put off, or a resolution held back, goes out now."""
    _at_once(incident, _command(PublishNow, because=because), operator, yes, "Send what is put off, now?")


@app.command(rich_help_panel=PANEL)
def hold(
    incident: OpenIncident = None,
    audience: Audiences = None,
    because: Because = None,
    operator: terminal.As = None,
    yes: terminal.Yes = False,
) -> None:
    """Nothing more goes out until it is released."""
    command = _command(Hold, audiences=tuple(audience or ()), because=because)
    _at_once(incident, command, operator, yes, f"Hold back everything to {_whom(audience)}?")


@app.command(rich_help_panel=PANEL)
def release(
    incident: OpenIncident = None,
    audience: Audiences = None,
    because: Because = None,
    operator: terminal.As = None,
    yes: terminal.Yes = False,
) -> None:
    """End a hold: what was held back goes the usual way."""
    command = _command(Release, audiences=tuple(audience or ()), because=because)
    _at_once(incident, command, operator, yes, f"Let everything to {_whom(audience)} go out again?")


def _whom(audiences: list[str] | None) -> str:
    return ", ".join(audiences or ()) or "every audience"


def _at_once(incident: str | None, command: OperatorCommand, operator: str | None, yes: bool, question: str) -> None:
    incident = terminal.existing(Settings(), incident)
    Desk.open(operator, incident).order(incident, command, f"{incident}: {question}", yes)


# --- what was told


@app.command(rich_help_panel=PANEL)
def retract(
    incident: Incident,
    explanation: Explanation,
    seq: Seq = None,
    because: Because = None,
    operator: terminal.As = None,
    yes: terminal.Yes = False,
) -> None:
    """What an entry told does not hold at all: tell exactly those who got it."""
    desk = Desk.open(operator, incident)
    seq = desk.show_told(incident, seq)
    command = _command(Retract, seq=seq, explanation=explanation, because=because)
    desk.order(incident, command, "Retract all of this?", yes)


def _correct(
    incident: str, seq: int | None, explanation: str, because: str | None, operator: str | None, yes: bool,
    said: facts.Answers,
) -> None:  # fmt: skip
    amended = facts.build(facts.AMENDED, said, real_now())
    desk = Desk.open(operator, incident)
    seq = desk.show_told(incident, seq)
    command = _command(Correct, seq=seq, facts=amended, explanation=explanation, because=because)
    terminal.show_facts(f"{incident}: what is right in place of it", amended)
    desk.order(incident, command, "Correct it?", yes)


def _command(kind: type[C], **said: Any) -> C:
    """The order. Raises typer.BadParameter, naming the flag."""
    try:
        return kind.model_validate(said)
    except ValidationError as error:
        wrong = "; ".join(f"--{str(e['loc'][0]).removesuffix('s')}: {e['msg']}" for e in error.errors())
        raise typer.BadParameter(wrong) from None


def _with_facts(name: str, help: str, order: Callable[..., None], **own: Any) -> None:
    """A subcommand with options of its `own`, and one for each fact that may be said otherwise."""
    before = [
        Parameter(each, Parameter.KEYWORD_ONLY, annotation=annotation, default=default)
        for each, (annotation, default) in own.items()
    ]

    def command(**given: Any) -> None:
        order(**{each: given.pop(each) for each in own}, said=given)

    command.__signature__ = facts.signature(facts.AMENDED, *before)  # type: ignore[attr-defined]  # typer reads it there
    command.__annotations__ = {}
    app.command(name, help=help, rich_help_panel=PANEL)(command)


_SIGNED: dict[str, Any] = {"because": (Because, None), "operator": (terminal.As, None), "yes": (terminal.Yes, False)}
_with_facts(
    "edit", "Say a draft otherwise: a new one takes its place.", _edit, draft=(DraftId, Parameter.empty), **_SIGNED
)
_with_facts(
    "correct",
    "What an entry told was wrong: tell exactly those who got it what is right.",
    _correct,
    incident=(Incident, Parameter.empty),
    seq=(Seq, None),
    explanation=(Explanation, Parameter.empty),
    **_SIGNED,
)
