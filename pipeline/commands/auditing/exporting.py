"""`tocsin audit export`: the log's exact bytes with the checkpoint that vouches for them, or the log as a table."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from pipeline.audit.entries import entry_of, understood
from pipeline.audit.files import replace_file, replacing, writing
from pipeline.audit.findings import Result
from pipeline.audit.places import Place, checkpoint_beside, leaves_beside, place_of
from pipeline.audit.reading import Linked
from pipeline.audit.rows import Row, rows
from pipeline.audit.tables import Table, table_for
from pipeline.audit.tree import leaf_hash
from pipeline.audit.verify import Verification
from pipeline.commands.auditing.asking import Export, InArchive, warn
from pipeline.replay.spans import counted
from pipeline.settings import Settings

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
            count, result = asyncio.run(_tabulate(place, table))
        typer.echo(f"{counted(count, 'row')} of {counted(result.entries, 'entry', 'entries')} in {file}")
        _whole(result)
        return
    entries, result = asyncio.run(_copy(place, file))
    if vouched.checkpoint is not None:
        with writing(file):
            replace_file(checkpoint_beside(file), vouched.checkpoint)
    typer.echo(f"{counted(entries, 'entry', 'entries')} in {file}")
    _whole(result)


def _whole(result: Result) -> None:
    """Only what follows one another is handed on: where the log is damaged, that is not all, and is said.

    Whether it is as it was signed for, `verify` says of the export, to whoever has the key.
    """
    warn(result)
    if not result.ok:
        raise typer.Exit(1)


async def _copy(place: Place, file: Path) -> tuple[int, Result]:
    """Each file is replaced when it is whole: it may be what is read, or an export of before."""
    linked, verification = Linked(), Verification(place.voids_allowed)
    with writing(file), replacing(file) as out, replacing(leaves_beside(file)) as leaves:
        async for batch in place.stored():
            verification.read(batch)
            for value in linked.lines(batch):
                out.write(value + b"\n")
                leaves.write(leaf_hash(value))
    return linked.held.chain.size, verification.result()


async def _tabulate(place: Place, table: Table) -> tuple[int, Result]:
    linked, waiting, count = Linked(), list[Row](), 0
    verification = Verification(place.voids_allowed)
    async for batch in place.stored():
        verification.read(batch)
        for value in linked.lines(batch):
            entry = entry_of(value)
            with understood(entry.index):
                waiting += rows(entry, value)
        if len(waiting) >= ROWS_AT_ONCE:
            table.write(waiting)
            waiting, count = [], count + len(waiting)
    table.write(waiting)
    return count + len(waiting), verification.result()
