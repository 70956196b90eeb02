"""`database/schema.sql`: printed by `nadg db print`, and the same tables as migrations give."""

from __future__ import annotations

import subprocess
from pathlib import Path

import psycopg
import pytest

from nadg.store.looking import look_at
from nadg.store.schema import REVISIONS
from nadg.store.script import postgresql_script
from tests.store.catalog import catalog
from tests.support.postgres import Server

SHIPPED = Path(__file__).parents[2] / "database" / "schema.sql"


def test_the_shipped_file_is_what_is_printed() -> None:
    assert SHIPPED.read_text() == postgresql_script()


def test_by_the_script_a_database_becomes_the_same(
    server: Server, empty_database: str, used_database: str
) -> None:
    url = server.url(empty_database)
    assert look_at(url).version == ""
    psql = [
        str(server.binaries / "psql"),
        url,
        "--no-psqlrc",
        "--quiet",
        "-v",
        "ON_ERROR_STOP=1",
        "-f",
        str(SHIPPED),
    ]
    done = subprocess.run(psql, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert catalog(url) == catalog(server.url(used_database))
    assert look_at(url).fits
    again = subprocess.run(psql, capture_output=True, text=True, check=False)
    assert again.returncode != 0
    assert 'schema "nadg" already exists' in again.stderr
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT version_num FROM nadg.schema_version").fetchall() == [(REVISIONS[-1],)]


def test_to_look_makes_no_file(tmp_path: Path) -> None:
    found = look_at(tmp_path / "nadg.db")
    assert (found.version, found.fits, list(tmp_path.iterdir())) == ("", False, [])


@pytest.mark.parametrize("statement", ["CREATE SCHEMA nadg"])
def test_the_script_is_one_transaction(statement: str) -> None:
    text = postgresql_script()
    assert text.index("BEGIN;") < text.index(statement) < text.rindex("COMMIT;")
