"""`tocsin audit export`: the log's exact bytes, with the checkpoint that vouches for them."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from pipeline.audit.files import replace_file, writing
from pipeline.audit.places import Place, checkpoint_beside, place_of
from pipeline.audit.reading import Linked
from pipeline.commands.replay import ARCHIVE
from pipeline.settings import Settings


def export_command(
    file: Annotated[Path, typer.Argument(help="Where to; FILE.checkpoint is written beside it.")],
    archive: Annotated[str | None, ARCHIVE] = None,
) -> None:
    """Write the log's exact bytes, an entry a line, and the checkpoint that vouches for them."""
    place = place_of(Settings(), archive=archive)
    vouched = place.vouchers()  # read before the log, which can only grow meanwhile
    count = asyncio.run(_export(place, file))
    if vouched.checkpoint is not None:
        with writing(file):
            replace_file(checkpoint_beside(file), vouched.checkpoint)
    typer.echo(f"{count} entries in {file}")


async def _export(place: Place, file: Path) -> int:
    linked = Linked()
    with writing(file), file.open("wb") as out:
        async for batch in place.stored():
            for value, _ in batch:
                if linked.held.take(value):
                    out.write((value or b"") + b"\n")
    return linked.held.chain.size
