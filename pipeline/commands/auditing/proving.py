"""`tocsin audit prove`: a file that shows anyone what one person was told, without Tocsin and without the others."""

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer

from pipeline.audit.files import replace_file, writing
from pipeline.audit.keys import public_key_path
from pipeline.audit.places import place_of
from pipeline.audit.proof import Subject, proof_of
from pipeline.audit.proof_page import SCRIPT, page
from pipeline.commands.auditing.asking import At, InArchive, Person, moment_of
from pipeline.commands.auditing.knowing import read
from pipeline.errors import NotFound
from pipeline.replay.spans import counted
from pipeline.settings import Settings
from schemas.base import rfc3339


def prove_command(
    incident: Annotated[str, typer.Argument(help="The incident's id.")],
    subscriber: Person,
    out: Annotated[Path, typer.Option(help="The proof; a page to read is written beside it (.html).")] = Path(
        "proof.json"
    ),
    at: At = None,
    archive: InArchive = None,
) -> None:
    """Prove what someone was told about an incident: entries, their paths to the signed root, the very words.

    Nothing of anybody else is in it. Whoever gets it checks it with deploy/check_proof.py and the log's public key.
    """
    until = moment_of(at, "--at")
    place = place_of(Settings(), None, archive)
    gathered, messages, words = asyncio.run(read(place, subscriber, until, incident))
    if not messages:
        raise NotFound(f"no provider took a message to {subscriber} about {incident}: `tocsin explain` says why")
    subject = Subject(incident, subscriber, rfc3339(until) if until else "")
    proof = proof_of(subject, gathered, messages, words)
    html = out.with_suffix(".html")
    with writing(out):
        replace_file(out, json.dumps(proof, ensure_ascii=False, indent=1).encode() + b"\n")
        replace_file(html, page(proof).encode())
    typer.echo(f"{counted(len(messages), 'message')} proved in {out}; {html} is to be read")
    typer.echo(f"anyone checks it with: python {SCRIPT.name} {out.name} log.pub")
    typer.echo(f"  the script: {SCRIPT}")
    typer.echo(f"  the log's keys, which they should have from elsewhere: {public_key_path(Settings().data_dir)}")
