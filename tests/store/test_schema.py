"""Tables and their versions: migrations give what the code has, an unfit database is refused in one sentence."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import ClauseElement, Connection
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from nadg.domain.assignment import Whole
from nadg.domain.changes import AttemptAdded, RunChanged, ShardsAdded
from nadg.domain.clock import Clock
from nadg.domain.errors import UserError
from nadg.domain.model_calls import CallCharge
from nadg.domain.run import NewRun, RunOptions
from nadg.domain.states import RunState
from nadg.store import codec, dialect, open_store, plan_edits, progress, run_records, schema
from nadg.store.tables import metadata


def _refusal(place: Path | str, clock: Clock) -> str:
    """The sentence that opening ends with."""

    async def scenario() -> None:
        async with open_store(place, clock, busy_seconds=0.1):
            pass

    with pytest.raises(UserError) as caught:
        asyncio.run(scenario())
    assert "\n" not in str(caught.value)
    return str(caught.value)


def _make(place: Path, clock: Clock) -> None:
    async def scenario() -> None:
        async with open_store(place, clock):
            pass

    asyncio.run(scenario())


def _definitions(place: Path) -> dict[str, list[str]]:
    """The parts of every table, index and view, spaces, quotes, order and brackets of an empty default aside."""
    query = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"
    with closing(sqlite3.connect(place)) as connection:
        return {
            name: sorted(_parts("".join(sql.replace('"', "").replace("('')", "''").split())))
            for name, sql in connection.execute(query)
        }


def _parts(sql: str) -> Iterator[str]:
    """Split at the commas that stand in the outermost brackets."""
    depth, start = 0, 0
    for place, sign in enumerate(sql):
        depth += (sign == "(") - (sign == ")")
        if (sign in "," and depth == 1) or (sign, depth) in (("(", 1), (")", 0)):
            yield sql[start:place]
            start = place + 1
    yield sql[start:]


@pytest.fixture
def migrated(database: Path) -> Iterator[Connection]:
    """A database made by the migrations alone."""
    engine = dialect.locate(database).open_writer(1)
    with engine.connect() as connection, connection.begin():
        schema.migrate(connection)
        yield connection


def test_migrations_and_tables_are_the_same(migrated: Connection, tmp_path: Path, clock: Clock) -> None:
    found = MigrationContext.configure(migrated, opts={"version_table": schema.VERSION_TABLE})
    assert compare_metadata(found, metadata) == []
    migrated.commit()
    _make(tmp_path / "direct.db", clock)
    assert _definitions(tmp_path / "nadg.db") == _definitions(tmp_path / "direct.db")


def test_a_migrated_database_is_at_home_in_the_code(migrated: Connection, database: Path, clock: Clock) -> None:
    migrated.commit()
    _make(database, clock)


def test_every_migration_has_its_place_in_the_list_of_versions() -> None:
    config = Config()
    config.set_main_option("script_location", str(schema.MIGRATIONS))
    scripts = list(ScriptDirectory.from_config(config).walk_revisions())
    assert tuple(one.revision for one in reversed(scripts)) == schema.REVISIONS


def test_an_old_database_is_migrated(database: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    _make(database, clock)
    with closing(sqlite3.connect(database)) as connection:
        for name, kind in connection.execute("SELECT name, type FROM sqlite_master").fetchall():
            if kind in ("table", "view") and name != schema.VERSION_TABLE:
                connection.execute(f"DROP {kind} IF EXISTS {name}")
        connection.execute(f"DELETE FROM {schema.VERSION_TABLE}")
        connection.execute(f"INSERT INTO {schema.VERSION_TABLE} VALUES ('0000')")
        connection.commit()
    monkeypatch.setattr(schema, "REVISIONS", ("0000", *schema.REVISIONS))
    with pytest.raises(Exception, match="0000"):  # Alembic was asked, and knows no such version
        _make(database, clock)


def test_a_database_of_the_first_version_keeps_its_runs(
    database: Path, clock: Clock, new_run: Callable[..., NewRun]
) -> None:
    engine = dialect.locate(database).open_writer(1)
    new, now = new_run("a", "b"), clock.now().replace(tzinfo=None).isoformat(" ", "microseconds")
    with engine.connect() as connection, connection.begin():
        schema.migrate(connection, "0001")
        assert "model_calls" not in dialect.of(connection).table_names(connection)
        plan, inputs, options = (codec.encode_plan(new.plan), codec.encode(()), codec.encode(RunOptions()))
        connection.exec_driver_sql(
            "INSERT INTO runs (id, command, planner, state, plan, inputs, options, created_at, lease_term) "
            "VALUES ('old', 'do it', 'file', 'planned', ?, ?, ?, ?, 1)",
            (plan, inputs, options, now),
        )
        for position, part in enumerate(new.plan.subtasks):
            connection.exec_driver_sql(
                "INSERT INTO subtasks (run_id, id, position, title, state) VALUES ('old', ?, ?, ?, 'waiting')",
                (part.id, position, part.title),
            )

    async def scenario() -> None:
        async with open_store(database, clock) as store:
            run = await store.runs.get("old")
            assert (run.command, run.plan, run.created_at) == ("do it", new.plan, clock.now())
            assert (run.answer, run.calls) == ("", ())
            assert [one.id for one in run.subtasks] == ["a", "b"]
            lease = await store.runs.claim("old", "me")
            assert lease is not None
            await store.runs.commit(lease, [RunChanged(state=RunState.RUNNING)])
            await store.runs.commit(lease, [RunChanged(state=RunState.SUCCEEDED, answer="it is done")])
            assert (await store.runs.get("old")).answer == "it is done"

    asyncio.run(scenario())
    _make(database, clock)  # and what was brought up once is opened as it is


def test_opening_what_fits_does_not_load_the_migration_tool(database: Path, clock: Clock) -> None:
    program = (
        "import asyncio, sys, pathlib\n"
        "from nadg.domain.clock import SystemClock\n"
        "from nadg.store import open_store\n"
        "async def main():\n"
        "    async with open_store(pathlib.Path(sys.argv[1]), SystemClock()): pass\n"
        "asyncio.run(main())\n"
        "assert 'alembic' not in sys.modules\n"
    )
    for _ in range(2):
        subprocess.run([sys.executable, "-c", program, str(database)], check=True)


def test_a_newer_database_is_left_alone(database: Path, clock: Clock) -> None:
    _make(database, clock)
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(f"UPDATE {schema.VERSION_TABLE} SET version_num = '9999'")
        connection.commit()
    assert f"has tables of version 9999, this NADG knows up to {schema.REVISIONS[-1]}" in _refusal(database, clock)


def test_another_programs_database_is_left_alone(database: Path, clock: Clock) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE theirs (x)")
        connection.commit()
    assert "belongs to something else" in _refusal(database, clock)


def test_a_file_that_is_no_database_is_left_alone(database: Path, clock: Clock) -> None:
    content = b"id,text\n" * 1000
    database.write_bytes(content)
    assert "is not a database" in _refusal(database, clock)
    assert database.read_bytes() == content


def test_places_that_cannot_be_written(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "file").write_text("")
    assert "cannot be made" in _refusal(tmp_path / "file" / "nadg.db", clock)
    assert "cannot be opened for writing" in _refusal(tmp_path, clock)
    assert "cannot be made" in _refusal(Path("/proc/none/nadg.db"), clock)


@pytest.fixture
def closed_folder() -> Iterator[Path]:
    """A folder whose files can be read and not written, also where root runs the tests."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)
        os.seteuid(os.getuid())
        Path(name).chmod(0o700)


def test_a_folder_without_the_right_to_write(closed_folder: Path, clock: Clock) -> None:
    _make(closed_folder / "nadg.db", clock)
    (closed_folder / "nadg.db").chmod(0o444)
    closed_folder.chmod(0o555)
    if os.getuid() == 0:
        os.seteuid(65534)
    for name in ("nadg.db", "other.db"):
        assert "cannot be opened for writing" in _refusal(closed_folder / name, clock)
    assert "cannot be made (Permission denied)" in _refusal(closed_folder / "below" / "nadg.db", clock)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("mysql://host/nadg", "mysql:// is not supported"),
        ("sqlite+aiosqlite:////tmp/x.db", "is not supported"),
        ("nonsense://", "not supported"),
        ("sqlite://", "needs a file"),
        ("sqlite:///:memory:", "needs a file"),
    ],
)
def test_addresses_that_mean_nothing(address: str, said: str, clock: Clock) -> None:
    assert said in _refusal(address, clock)


def test_a_url_a_path_and_a_text_mean_the_same_file(database: Path, clock: Clock) -> None:
    for place in (f"sqlite:///{database}", str(database), database):
        assert dialect.locate(place).url.database == str(database)


@pytest.mark.parametrize(
    ("table", "column"),
    [(one.name, name) for one in metadata.tables.values() for name in ("state", "status") if name in one.c],
)
def test_a_state_that_does_not_exist_is_refused_by_the_database(
    database: Path, clock: Clock, new_run: Callable[..., NewRun], table: str, column: str
) -> None:
    async def scenario() -> None:
        async with open_store(database, clock) as store:
            await store.workers.add("http://a:1")
            lease = await store.runs.create(new_run(), "me")
            shard = ShardsAdded(subtask_id="a", first=0, pieces=(Whole(),))
            attempt = AttemptAdded(attempt_id="1", subtask_id="a", index=0, number=1)
            await store.runs.commit(lease, [shard, attempt])
            await store.model_calls.charge(
                CallCharge(id="1", run_id="r", purpose="plan", model="m", tokens=1, cost_usd=None, at=clock.now())
            )

    asyncio.run(scenario())
    refused = pytest.raises(sqlite3.IntegrityError, match=f"ck_{table}_{column}")
    with closing(sqlite3.connect(database)) as connection, refused:
        connection.execute(f"UPDATE {table} SET {column} = 'nonsense'")


def test_the_tables_and_statements_suit_postgresql_too() -> None:
    other = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it untyped
    for table in metadata.tables.values():
        str(CreateTable(table).compile(dialect=other))
        for index in table.indexes:
            str(CreateIndex(index).compile(dialect=other))
    for module in (progress, run_records, plan_edits):
        statements = [one for one in vars(module).values() if isinstance(one, ClauseElement)]
        assert len(statements) > 1
        for statement in statements:
            statement.compile(dialect=other)


def test_the_files_are_their_owners_alone(tmp_path: Path, clock: Clock) -> None:
    place = tmp_path / "nadg.db"
    wal, shm = tmp_path / "nadg.db-wal", tmp_path / "nadg.db-shm"

    async def modes() -> list[int]:
        async with open_store(place, clock) as store:
            await store.workers.add("http://127.0.0.1:1")
            return [one.stat().st_mode & 0o777 for one in (place, wal, shm)]

    assert asyncio.run(modes()) == [0o600] * 3
    for one in (place, wal, shm):
        one.touch()
        one.chmod(0o644)
    assert asyncio.run(modes()) == [0o600] * 3
