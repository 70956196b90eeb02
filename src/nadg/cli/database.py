"""What `nadg db` does."""

from __future__ import annotations

import datetime

import msgspec

from nadg.cli.configuration import read_settings
from nadg.cli.failure import FAILED
from nadg.cli.render.safe import one_line
from nadg.cli.render.units import counted, size


async def upgrade() -> None:
    """Bring the tables up, and say from where to where."""
    from nadg.bootstrap.tables import database_state, upgrade_tables

    settings = read_settings()
    before = database_state(settings)
    await upgrade_tables(settings)
    if before.fits:
        print(f"{one_line(before.name, 200)} has the tables of version {before.newest} already.")
    elif before.version:
        print(f"{one_line(before.name, 200)}: tables of version {before.version} are now of {before.newest}.")
    else:
        print(f"{one_line(before.name, 200)} now has the tables of version {before.newest}.")


def status(as_json: bool) -> int:
    """Show the database as it is; 1 where its tables are not this version's."""
    from nadg.bootstrap.tables import database_state

    found = database_state(read_settings())
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
    else:
        print(f"database: {one_line(found.name, 200)} ({found.kind})")
        if found.fits:
            print(f"tables:   version {found.version}, as this NADG wants them")
        else:
            print(
                f"tables:   {found.version or 'none yet'}; this NADG wants version {found.newest}: nadg db upgrade"
            )
    return 0 if found.fits else FAILED


def print_sql() -> None:
    """The script for PostgreSQL."""
    from nadg.bootstrap.tables import tables_script

    print(tables_script(), end="")


async def prune(older_than: datetime.timedelta, as_json: bool) -> None:
    """Forget what is older than that, and say how much it was."""
    from nadg.bootstrap.pruning import prune

    gone = await prune(read_settings(), older_than)
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(gone), indent=2).decode())
        return
    models = f"{counted(gone.model_answers, 'answer')} and {counted(gone.model_calls, 'call')} of models"
    files = f"{counted(gone.blobs, 'file')} ({size(gone.blob_bytes)})"
    print(f"Forgot {counted(gone.runs, 'run')}, {models}, and {files}.")
