"""`tocsin audit search`: the entries that answer a question."""

import asyncio
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Annotated

import typer

from pipeline.audit.places import place_of
from pipeline.audit.reading import Kept, gather
from pipeline.audit.search import Question, Search, approvers, provider_ids, rules
from pipeline.commands.auditing.asking import Export, InArchive, moment_of, warn
from pipeline.commands.auditing.showing import kind_of, listed
from pipeline.errors import ConfigurationError
from pipeline.replay.spans import counted
from pipeline.settings import Settings
from schemas.audit import AuditEntry
from schemas.base import Channel
from schemas.delivery import DeliveriesEnded, ReceiptRecorded

MAX_RULES = 3


def search_command(
    incident: Annotated[str | None, typer.Option(help="About this incident.")] = None,
    subscriber: Annotated[str | None, typer.Option(help="About this person, list or account, by id.")] = None,
    channel: Annotated[Channel | None, typer.Option(help="About this channel.")] = None,
    since: Annotated[
        str | None, typer.Option(help="Appended at this moment or later: 14:30, 2h ago, RFC 3339.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Appended at this moment or before.")] = None,
    rule: Annotated[
        str | None,
        typer.Option(help="Where this rule spoke: part of a reason as replay and explain say it, or of its name."),
    ] = None,
    approver: Annotated[str | None, typer.Option(help="What this operator approved, or ordered.")] = None,
    provider_id: Annotated[str | None, typer.Option(help="The id that a provider gave a message.")] = None,
    export: Export = None,
    archive: InArchive = None,
    as_json: Annotated[bool, typer.Option("--json", help="The entries' exact bytes, one a line.")] = False,
) -> None:
    """The sealed entries that answer a question; all that is given must fit. Exit status 1 if there are none."""
    question = Question(
        incident=incident, subscriber=subscriber, channel=channel, since=moment_of(since, "--since"),
        until=moment_of(until, "--until"), rule=rule, approver=approver, provider_id=provider_id,
    )  # fmt: skip
    if question == Question():
        raise ConfigurationError("ask for something: --incident, --subscriber, --rule … (`tocsin audit search --help`)")
    search = Search(question)
    found = asyncio.run(gather(place_of(Settings(), export, archive), search))
    warn(found.result)
    if as_json:
        for kept in found.kept:
            sys.stdout.buffer.write(kept.value + b"\n")
    else:
        listed((kept.entry, in_words(kept.entry)) for kept in found.kept)
        count = f"{len(found.kept)} of {counted(found.result.entries, 'entry', 'entries')}"
        typer.echo(f"{count}{tally(found.kept)}", err=True)
    if not found.kept:
        raise typer.Exit(1)


def in_words(entry: AuditEntry) -> str:
    """What an entry is about, what it is, and why, by whom, under which of a provider's ids."""
    named = [rule.replace("_", " ") for rule in dict.fromkeys(rules(entry))]
    why = named[:MAX_RULES] + ([f"and {len(named) - MAX_RULES} more"] if len(named) > MAX_RULES else [])
    by = ", ".join(sorted(approvers(entry)))
    ids = sorted(provider_ids(entry))[:MAX_RULES]
    reasons = "; ".join([*why, *([f"by {by}"] if by else []), *ids])
    receipt = entry.record_type == ReceiptRecorded.TYPE
    about = f"message {(entry.subject or '')[:12]}" if receipt else entry.subject
    return "  ".join(filter(None, (about, kind_of(entry), reasons)))


def tally(kept: Sequence[Kept]) -> str:
    """How the messages ended of which these entries tell; nothing where they tell of none."""
    ended = Counter(
        str(outcome.get("result"))
        for one in kept
        if one.entry.record_type == DeliveriesEnded.TYPE
        for outcome in (one.entry.body or {}).get("outcomes") or ()
    )
    said = ", ".join(f"{number} {result}" for result, number in ended.most_common())
    return f"; ends of messages: {said}" if said else ""
