"""`tocsin audit export`: the log's exact bytes with the checkpoint that vouches for them, or the log as a table."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from pipeline.audit.files import replace_file, replacing, writing
from pipeline.audit.held import Held
from pipeline.audit.places import Place, checkpoint_beside, leaves_beside, place_of
from pipeline.audit.reading import Linked
from pipeline.audit.rows import Row, rows
from pipeline.audit.tables import Table, table_for
from pipeline.commands.auditing.asking import Export, InArchive
from pipeline.replay.spans import counted
from pipeline.settings import Settings
from schemas.audit import AuditEntry

ROWS_AT_ONCE = 20_000


def export_command(
    file: Annotated[Path, typer.Argument(help="Where to. FILE.csv or FILE.parquet: a table; else the exact bytes.")],
    export: Export = None,
    archive: InArchive = None,
) -> None:
    """Write the log's exact bytes, an entry a line, and beside it the checkpoint that vouches for them; or a table.

    FILE.leaves holds the entries' hashes: by these `verify` names the very entries that somebody changes later. A table
    has a row for what each entry says of one person. Only the exact bytes can be verified.
    """
    place = place_of(Settings(), export, archive)
    kind = table_for(file)
    vouched = place.vouchers()  # read before the log, which can only grow meanwhile
    if kind is not None:
        with writing(file), kind.open(file) as table:
            entries, count = asyncio.run(_tabulate(place, table))
        typer.echo(f"{counted(count, 'row')} of {entries} entries in {file}")
        return
    entries = asyncio.run(_copy(place, file))
    if vouched.checkpoint is not None:
        with writing(file):
            replace_file(checkpoint_beside(file), vouched.checkpoint)
    typer.echo(f"{entries} entries in {file}")


async def _copy(place: Place, file: Path) -> int:
    """Each file is replaced when it is whole: it may be what is read, or an export of before."""
    held = Held()
    with writing(file), replacing(file) as out, replacing(leaves_beside(file)) as leaves:
        async for batch in place.stored():
            for value, _ in batch:
                if held.take(value):
                    out.write((value or b"") + b"\n")
                    leaves.write(held.chain.last)
    return held.chain.size


async def _tabulate(place: Place, table: Table) -> tuple[int, int]:
    linked, waiting, count = Linked(), list[Row](), 0
    async for batch in place.stored():
        for value, _ in batch:
            if linked.held.take(value):
                waiting += rows(AuditEntry.model_validate_json(value or b""), value or b"")
        if len(waiting) >= ROWS_AT_ONCE:
            table.write(waiting)
            waiting, count = [], count + len(waiting)
    table.write(waiting)
    return linked.held.chain.size, count + len(waiting)
