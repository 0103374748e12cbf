"""`tocsin receipts`: bounces and complaints that were collected in a mailbox."""

import asyncio
from collections import Counter
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated

import typer

from pipeline.errors import ConfigurationError
from pipeline.receipts.mailboxes import Box, open_imap, open_path
from pipeline.settings import Settings
from pipeline.vault import Vault
from schemas.codec import Outgoing

app = typer.Typer(no_args_is_help=True, help="Bounces and complaints that were collected in a mailbox.")
REMOVE = typer.Option("--remove", help="Take out of the mailbox what became a record; everything else stays.")


@app.command("mailbox")
def mailbox_(
    path: Annotated[Path, typer.Argument(help="An mbox file, or a Maildir.")],
    remove: Annotated[bool, REMOVE] = False,
) -> None:
    """Take in the bounces and complaints of an mbox file or a Maildir; the same mail again is the same record."""
    settings = Settings()
    _take_in(settings, open_path(path), remove)


@app.command()
def imap(remove: Annotated[bool, REMOVE] = False) -> None:
    """Take in the unseen bounces and complaints of the IMAP folder that TOCSIN_IMAP_URL names."""
    settings = Settings()
    if settings.imap_url is None:
        raise ConfigurationError("TOCSIN_IMAP_URL is not set: imaps://user:password@host/folder")
    _take_in(settings, open_imap(settings.imap_url.get_secret_value()), remove)


def _take_in(settings: Settings, opening: AbstractContextManager[Box], remove: bool) -> None:
    with opening as box:
        count = asyncio.run(_take(settings, box, remove))
    typer.echo(", ".join(f"{number} {what}" for what, number in sorted(count.items())) or "no mail in it")


async def _take(settings: Settings, box: Box, remove: bool) -> Counter[str]:
    from pipeline.broker import connect
    from pipeline.receipts.desk import FORGED, Desk
    from pipeline.receipts.status import Verdict

    async with connect.open_producer(settings) as producer:

        async def publish(outgoing: Outgoing) -> None:
            await connect.send(producer, outgoing)

        desk = Desk(Vault.open(settings), settings.partitions, publish)
        for name in box.names():
            if await desk.take(box.read(name)) not in (FORGED, Verdict.NOTHING):
                box.done(name, remove)
    return desk.taken
