"""`tocsin audit export`: the log's exact bytes, with the checkpoint that vouches for them."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from pipeline.audit.files import replace_file, writing
from pipeline.audit.reading import Linked, stored, vouchers
from pipeline.settings import Settings


def export_command(
    file: Annotated[Path, typer.Argument(help="Where to; FILE.checkpoint is written beside it.")],
) -> None:
    """Write the log's exact bytes, an entry a line, and the checkpoint that vouches for them."""
    settings = Settings()
    vouched = vouchers(settings.data_dir)  # read before the log, which can only grow meanwhile
    count = asyncio.run(_export(settings, file))
    if vouched.checkpoint is not None:
        with writing(file):
            replace_file(checkpoint_of(file), vouched.checkpoint)
    typer.echo(f"{count} entries in {file}")


async def _export(settings: Settings, file: Path) -> int:
    linked = Linked()
    with writing(file), file.open("wb") as out:
        async for batch in stored(settings):
            for value, _ in batch:
                if linked.held.take(value):
                    out.write((value or b"") + b"\n")
    return linked.held.chain.size


def checkpoint_of(export: Path) -> Path:
    """Where the checkpoint of an export lies."""
    return export.with_name(f"{export.name}.checkpoint")
