"""Bringing a database to this version's tables.

A new database gets the tables at once, an old one by migrations; a test proves that both give the same.
Where the version fits, which is nearly always, nothing is imported and nothing is written.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Column, Connection, MetaData, PrimaryKeyConstraint, String, Table, insert, select

from nadg.domain.errors import NadgError, UserError
from nadg.store import dialect
from nadg.store.tables import metadata, task_history_ddl

REVISIONS = ("0001", "0002", "0003")
"""Every version of the tables, oldest first; the last is this one's."""

VERSION_TABLE = "schema_version"
MIGRATIONS = Path(__file__).parent / "migrations"

version_table = Table(
    VERSION_TABLE,
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name=f"{VERSION_TABLE}_pkc"),
)
"""As Alembic itself would make it."""


def fits(connection: Connection) -> bool:
    """Whether nothing is to be done. Raises UserError where the database is newer than this code or not NADG's."""
    return version_of(connection) == REVISIONS[-1]


class NoTables(NadgError):
    """The database is empty, and whoever came only looks."""


def require(connection: Connection) -> None:
    """Raises NoTables in an empty database, UserError where a master has not brought it to this version yet."""
    version = version_of(connection)
    if version is None:
        raise NoTables(f"database {dialect.of(connection).name} has no tables yet; run `nadg db upgrade`")
    if version != REVISIONS[-1]:
        raise UserError(
            f"database {dialect.of(connection).name} has tables of version {version}, this NADG wants "
            f"{REVISIONS[-1]}; run `nadg db upgrade`, or start a master, which does the same"
        )


def upgrade(connection: Connection) -> None:
    """Make the database fit, within the transaction that is open, which has looked at nothing yet.

    Whoever has looked holds a lock that another's upgrade waits for. Raises as `fits`.
    """
    dialect.of(connection).begin_upgrade(connection)
    version = version_of(connection)
    if version is None:
        create_tables(connection)
    elif version != REVISIONS[-1]:
        migrate(connection)


def create_tables(connection: Connection) -> None:
    """All tables of this version, in an empty database."""
    metadata.create_all(connection, checkfirst=False)
    connection.exec_driver_sql(task_history_ddl(dialect.of(connection).schema))
    version_table.create(connection)
    connection.execute(insert(version_table).values(version_num=REVISIONS[-1]))
    dialect.of(connection).protect(connection)


def migrate(connection: Connection, revision: str = REVISIONS[-1]) -> None:
    """Run the migrations that are missing up to `revision`, within the transaction that is open."""
    from alembic import command  # a quarter of a second to import, and seldom needed
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
    dialect.of(connection).protect(connection)


def version_of(connection: Connection) -> str | None:
    """The version the database is at, None where it is empty. Raises UserError where it is none of ours."""
    place = dialect.of(connection)
    found = place.table_names(connection)
    if VERSION_TABLE not in found:
        if found:
            raise UserError(f"database {place.name} belongs to something else; name {place.another}")
        return None
    version = connection.execute(select(version_table.c.version_num)).scalar_one_or_none()
    if version not in REVISIONS:
        raise UserError(
            f"database {place.name} has tables of version {version}, this NADG knows up to {REVISIONS[-1]}; "
            f"install the newer NADG or name {place.another}"
        )
    return str(version)
