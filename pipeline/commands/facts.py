"""What a person on call says about an incident: the flags, the few questions, and the event they amount to."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from inspect import Parameter, Signature
from typing import Annotated, Any, Generic, TypeVar

import typer
from pydantic import ValidationError

from pipeline.commands.moments import moment
from pipeline.commands.translations import put, translated
from schemas.base import Level, Severity, State, rfc3339
from schemas.incident import (
    NONE,
    Consequences,
    Facts,
    For,
    ImpactChanged,
    IncidentEvent,
    IncidentOpened,
    IncidentReopened,
    IncidentResolved,
    IncidentUpdated,
    MilestoneReached,
    MonitoringStarted,
    ReviewPublished,
    Translation,
)

Answers = Mapping[str, Any]
F = TypeVar("F", bound=Facts, covariant=True)


@dataclass(frozen=True)
class Flag:
    """An option: `name` is also its Python identifier, `field` where its value goes in the event's data."""

    name: str
    field: str
    help: str
    type: Any = str
    past: bool = False

    def parameter(self) -> Parameter:
        """The option as typer reads it from a signature."""
        option = typer.Option(f"--{self.name.replace('_', '-')}", help=self.help, show_default=False)
        annotation = list[str] | None if self.type is list else self.type | None
        if self.type is datetime:
            annotation = str | None
        return Parameter(self.name, Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[annotation, option])


FLAGS: dict[str, Flag] = {
    flag.name: flag
    for flag in (
        Flag("title", "title", "One line that says what is wrong."),
        Flag("severity", "severity", "How bad it is for those who use the service.", Severity),
        Flag("state", "state", "Where the work on it stands.", State),
        Flag("component", "components", "A component; repeat the flag for more.", list),
        Flag("region", "regions", "A region; repeat the flag for more.", list),
        Flag("summary", "summary", "Two or three sentences that anyone may forward."),
        Flag("now", "consequences.now", "What people notice now; `none` says: nothing."),
        Flag("expected", "consequences.expected", "What is to be expected; `none` says: nothing."),
        Flag("lasting", "consequences.lasting", "What will stay, such as lost data; `none` says: nothing."),
        Flag("data_loss", "consequences.data_loss", "What data was lost; `none` says: none."),
        Flag("workaround", "workaround", "What people can do meanwhile."),
        Flag("good_news", "good_news", "What has become better."),
        Flag("next_update", "next_update_at", "When the next update comes: in 30m, 14:30, RFC 3339.", datetime),
        Flag("contact", "contact.name", "Who has time to answer."),
        Flag("reach", "contact.reach", "How to reach the contact."),
        Flag("crew", "crew.who", "Who is working on it."),
        Flag("crew_until", "crew.until", "Until when they work on it.", datetime),
        Flag("technical", "technical_detail", "For technical readers only."),
        Flag("internal", "internal_notes", "For insiders only; never leaves the house."),
        Flag("ownership", "ownership", "Admission or apology; told only with the approval the policy names."),
        Flag("began", "began_at", "When it began: 20m ago, 14:30, RFC 3339.", datetime, past=True),
        Flag("ended", "ended_at", "When it ended: now, 14:30, RFC 3339.", datetime, past=True),
        Flag("done", "done", "What was done, short-term."),
        Flag("planned", "planned", "What is planned so that it does not happen again."),
        Flag("root_cause", "root_cause", "What it came from."),
        Flag("translation", "translations", "Another language: `de.summary=...`, by the flag's name; repeat it.", list),
        Flag("private_to", "private_to", "A private incident: only this audience hears of it; repeat the flag.", list),
        Flag("milestone", "milestone", "The step of the repair that is done."),
        Flag("review", "review", "The review's text."),
    )
}
OWN_FLAGS: dict[str, type[IncidentEvent]] = {"milestone": MilestoneReached, "review": ReviewPublished}
"""Flags that only one kind of event has."""


@dataclass(frozen=True)
class Question:
    """What is asked on a terminal when the flag is missing. An empty answer leaves it unsaid."""

    flag: str
    text: str
    default: str | None = None
    required: bool = False


TITLE = Question("title", "What is wrong, in one line", required=True)
SEVERITY = Question("severity", "How bad is it (none, minor, major, critical)", default="major", required=True)
COMPONENTS = Question("component", "Which components, comma between them")
SUMMARY = Question("summary", "Summary that anyone may forward, two or three sentences")
NEWS = Question("summary", "What is new, two or three sentences", required=True)
NOW = Question("now", "What do people notice now")
EXPECTED = Question("expected", "What should they expect next; none, if nothing")
LASTING = Question("lasting", "What will stay, such as lost data; none, if nothing")
CONTACT = Question("contact", "Who has time to answer questions")
REACH = Question("reach", "How to reach them", required=True)
NEXT = Question("next_update", "When is the next update", default="in 30m")


@dataclass(frozen=True)
class Kind(Generic[F]):
    """One thing to say about an incident, and what is asked for it."""

    model: type[F]
    help: str
    questions: tuple[Question, ...] = ()
    state: State | None = None


AMENDED = Kind(Facts, "What is right in place of what was, or was to be, said.")
KINDS: dict[str, Kind[IncidentEvent]] = {
    "open": Kind(
        IncidentOpened,
        "Something is wrong, and people should hear of it.",
        (TITLE, SEVERITY, COMPONENTS, NOW, EXPECTED, LASTING, SUMMARY, CONTACT, REACH, NEXT),
        State.INVESTIGATING,
    ),
    "update": Kind(IncidentUpdated, "There is news.", (NEWS, NEXT)),
    "impact": Kind(
        ImpactChanged, "It became better or worse, or reaches others.", (SEVERITY, NOW, EXPECTED, LASTING, NEWS, NEXT)
    ),
    "milestone": Kind(
        MilestoneReached,
        "A step of the repair is done.",
        (Question("milestone", "Which step is done", required=True), SUMMARY, NEXT),
    ),
    "monitoring": Kind(
        MonitoringStarted,
        "The repair is in; whether it holds is being watched.",
        (SUMMARY, NOW, Question("next_update", "When is the next update", default="in 1h")),
        State.MONITORING,
    ),
    "resolve": Kind(
        IncidentResolved,
        "It is over.",
        (
            SUMMARY,
            LASTING,
            Question("began", "When did it begin (14:30, 2h ago)"),
            Question("ended", "When did it end", default="now"),
            Question("done", "What was done"),
            Question("planned", "What is planned so that it does not happen again"),
        ),
        State.RESOLVED,
    ),
    "reopen": Kind(IncidentReopened, "It was not over.", (NEWS, NOW, NEXT), State.INVESTIGATING),
    "review": Kind(
        ReviewPublished,
        "The post-mortem, after a cool-down.",
        (Question("review", "The review", required=True), SUMMARY),
    ),
}


def signature(kind: Kind[Facts], *before: Parameter) -> Signature:
    """The options of one subcommand as typer reads them: `before`, then every fact that its event can hold."""
    flags = (flag for flag in FLAGS.values() if OWN_FLAGS.get(flag.name, kind.model) is kind.model)
    return Signature([*before, *(flag.parameter() for flag in flags)])


def ask(
    kind: Kind[Facts], said: Answers, prompt: Callable[[Question, Callable[[str], Any]], Any], now: datetime
) -> Answers:
    """`said` and the answers to the questions that it leaves open; each answer is checked when it is given.

    Raises typer.BadParameter for a flag that cannot be used, before the first question: no answer is given in vain.
    """
    for name, value in said.items():
        if value is not None and value != []:
            _checked(kind, FLAGS[name], value, now)
    answers = dict(said)
    for question in kind.questions:
        if answers.get(question.flag) is None and (question.flag != "reach" or answers.get("contact")):
            answers[question.flag] = prompt(question, partial(_answered, kind, FLAGS[question.flag], now))
    return answers


def _answered(kind: Kind[Facts], flag: Flag, now: datetime, text: str) -> Any:
    """An answer as the flag would hold it. Raises typer.BadParameter, upon which the question is asked again."""
    text = text.strip()
    if not text:
        return None
    answer = [part.strip() for part in text.split(",") if part.strip()] if flag.type is list else text
    if flag.type is Severity and text not in set(Severity):
        raise typer.BadParameter(f"one of {', '.join(Severity)}")
    _checked(kind, flag, answer, now)
    return answer


def _checked(kind: Kind[Facts], flag: Flag, value: Any, now: datetime) -> None:
    """Raises typer.BadParameter where the event would not take `value` for this flag, whatever else it says."""
    path = tuple(flag.field.split("."))
    usable = _value(flag, value, now)
    try:
        kind.model.model_validate({path[0]: usable if len(path) == 1 else {path[1]: usable}})
    except ValidationError as error:
        wrong = [e for e in error.errors() if e["loc"][: len(path)] == path]
        if wrong:
            raise typer.BadParameter("; ".join(_complaint(e["loc"], e["msg"]) for e in wrong)) from None


def build(kind: Kind[F], said: Answers, now: datetime) -> F:
    """What `said` amounts to. What is absent stays unsaid. Raises typer.BadParameter, naming the flag."""
    data: dict[str, Any] = {"state": kind.state} if kind.state else {}
    for name, value in said.items():
        if value is None or value == []:
            continue
        put(data, FLAGS[name].field, _value(FLAGS[name], value, now))
    if not data.keys() - {"state"} and kind.model in {Facts, IncidentUpdated, MonitoringStarted, IncidentReopened}:
        raise typer.BadParameter("nothing is said; at least --summary is needed")
    try:
        return kind.model.model_validate(data)
    except ValidationError as error:
        raise typer.BadParameter("; ".join(_complaint(e["loc"], e["msg"]) for e in error.errors())) from None


def _value(flag: Flag, value: Any, now: datetime) -> Any:
    if flag.type is datetime:
        return _moment(flag, value, now)
    if flag.name == "translation":
        return translated(value, {name: other.field for name, other in FLAGS.items()})
    if flag.field.startswith("consequences.") and value.strip().lower() == NONE:
        return NONE
    return value


def _moment(flag: Flag, text: str, now: datetime) -> datetime:
    try:
        return moment(text, now, past=flag.past)
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter(f"--{flag.name.replace('_', '-')}: {error}") from None


def _complaint(location: tuple[int | str, ...], message: str) -> str:
    field = ".".join(str(part) for part in location if isinstance(part, str))
    if field.startswith("translations."):
        return f"--translation: {field.removeprefix('translations.')}: {message}"
    flag = next((f"--{flag.name.replace('_', '-')}" for flag in FLAGS.values() if flag.field == field), None)
    if flag is None:  # the contact's and the crew's two halves need each other; the kind's own rule has no field
        return message.removeprefix("Value error, ")
    return f"{flag} is missing" if message == "Field required" else f"{flag}: {message}"


def shown(event: Facts | Translation, local: Callable[[datetime], str] = rfc3339) -> Iterable[tuple[str, str, str]]:
    """(what, value, who may see it) for each thing said; on opening, also for the consequences that were not."""
    for name, info in type(event).model_fields.items():
        value, audience = getattr(event, name), _audience(info.metadata)
        if name == "consequences":
            parts = value.model_dump() if value is not None else dict.fromkeys(Consequences.model_fields)
            for part, text in parts.items():
                if text is not None or isinstance(event, IncidentOpened):
                    yield part.replace("_", " "), text or "not yet known", audience
        elif name == "translations":
            for language, translation in (value or {}).items():
                for what, text, whom in shown(translation, local):
                    yield f"{what} ({language})", text, whom
        elif value is not None:
            yield name.removesuffix("_at").replace("_", " "), _text(value, local), audience


def _text(value: Any, local: Callable[[datetime], str]) -> str:
    if isinstance(value, str):
        return str(value)
    if isinstance(value, datetime):
        return local(value)
    parts = value if isinstance(value, tuple) else value.model_dump().values()
    return ", ".join(_text(part, local) for part in parts if part is not None)


def _audience(metadata: Iterable[Any]) -> str:
    mark = next((entry for entry in metadata if isinstance(entry, For)), None)
    if mark is None or mark.levels == frozenset(Level):
        return "everyone" if mark is None or mark.approval is None else f"with approval ({mark.approval})"
    if mark.levels == {Level.INTERNAL}:
        return "insiders"
    return "technical readers" if Level.CUSTOMER not in mark.levels else "subscribers"
