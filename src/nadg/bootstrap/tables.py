"""`nadg db upgrade`, `status` and `print`: the tables of the configured database."""

from __future__ import annotations

from nadg.bootstrap.database import open_to_change
from nadg.bootstrap.home import Home
from nadg.domain.clock import SystemClock
from nadg.settings import Settings
from nadg.store.looking import DatabaseState, look_at
from nadg.store.script import postgresql_script


def database_state(settings: Settings) -> DatabaseState:
    """As it is; nothing is made. Raises UserError or StoreUnavailable, see `look_at`."""
    return look_at(Home(settings).database)


async def upgrade_tables(settings: Settings) -> None:
    """Make the tables, or bring them to this version. Raises UserError or StoreUnavailable."""
    async with open_to_change(Home(settings).database, SystemClock()):
        return


def tables_script() -> str:
    """The SQL that makes all tables in PostgreSQL."""
    return postgresql_script()
