"""The tables as SQL text, for an editor such as Supabase's: what a master would make in an empty PostgreSQL."""

from __future__ import annotations

from sqlalchemy import ClauseElement, Index, insert
from sqlalchemy.dialects.postgresql.base import PGDialect
from sqlalchemy.schema import CreateIndex, CreateTable

from nadg.store.dialects.postgresql import SCHEMA
from nadg.store.dialects.protection import protection_sql
from nadg.store.schema import REVISIONS, VERSION_TABLE, version_table
from nadg.store.tables import metadata, task_history_ddl

_HEAD = f"""\
-- NADG's tables in PostgreSQL, version {REVISIONS[-1]}, as `nadg db print` prints them. For an empty database:
-- paste all of it into an SQL editor such as Supabase's and run it once. A master makes the same by itself
-- when it starts, and upgrades what an older version made (`nadg db upgrade`).

BEGIN;
"""


def postgresql_script() -> str:
    """The script as a whole. Run where the schema exists already it changes nothing and says so."""
    return "\n".join([_HEAD, *(f"{one};\n" for one in statements()), "COMMIT;\n"])


def statements() -> list[str]:
    """In order, without semicolons."""
    made: list[ClauseElement] = []
    for table in (*metadata.sorted_tables, version_table):
        made += [CreateTable(table), *(CreateIndex(index) for index in sorted(table.indexes, key=_name))]
    return [
        f"CREATE SCHEMA {SCHEMA}",
        *(_text(one) for one in made),
        task_history_ddl(SCHEMA),
        _text(insert(version_table).values(version_num=REVISIONS[-1])),
        *protection_sql(SCHEMA, sorted([*metadata.tables, VERSION_TABLE])),
    ]


def _text(statement: ClauseElement) -> str:
    dialect = PGDialect(paramstyle="named")  # type: ignore[no-untyped-call]  # SQLAlchemy types no dialect
    literal = {"literal_binds": True}
    compiled = str(
        statement.compile(
            dialect=dialect,
            compile_kwargs=literal,
            schema_translate_map={None: SCHEMA},
            render_schema_translate=True,
        )
    )
    return "\n".join(line.rstrip().replace("\t", "    ") for line in compiled.strip().splitlines())


def _name(index: Index) -> str:
    return str(index.name)
