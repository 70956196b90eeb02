"""Addresses of databases: what each means, what is said of one that means nothing, and no password anywhere."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nadg.domain.errors import UserError
from nadg.store.dialect import locate
from nadg.store.dialects.postgresql import PostgreSQL

SECRET = "hush-hush"
PLACE = f"ann:{SECRET}@db.example:6543/work"


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg", "POSTGRES"])
def test_every_spelling_of_postgresql_means_the_same(scheme: str) -> None:
    found = locate(f"{scheme}://{PLACE}?sslmode=verify-full&sslrootcert=/ca.crt&pgbouncer=true&connection_limit=1")
    assert isinstance(found, PostgreSQL)
    url = found.url
    assert (url.drivername, url.username, url.password) == ("postgresql+psycopg", "ann", SECRET)
    assert (url.host, url.port, url.database) == ("db.example", 6543, "work")
    assert {name: url.query.get(name) for name in ("sslmode", "sslrootcert", "pgbouncer", "connection_limit")} == {
        "sslmode": "verify-full",
        "sslrootcert": "/ca.crt",
        "pgbouncer": None,
        "connection_limit": None,
    }
    assert url.query["connect_timeout"] == "10"


def test_what_the_url_sets_stands() -> None:
    assert locate(f"postgresql://{PLACE}?connect_timeout=3").url.query["connect_timeout"] == "3"


@pytest.mark.parametrize("address", [f"postgresql://{PLACE}", f"postgresql://ann@db/work?password={SECRET}"])
def test_a_password_is_nowhere_shown(address: str) -> None:
    found = locate(address)
    assert found.url.password == SECRET
    engine = found.open_writer(1)
    for shown in (found.name, repr(found), str(found), repr(found.url), repr(engine), str(engine.url)):
        assert SECRET not in shown
    assert "db" in found.name


@pytest.mark.parametrize(
    ("address", "said"),
    [
        (f"https://{SECRET}.supabase.co", "copy the URI of the session pooler from the dashboard"),
        (f"mysql://{PLACE}", "mysql:// is not supported; write sqlite:////folder/file.db or postgresql://"),
        (f"postgresql+asyncpg://{PLACE}", "is not supported"),
        (f"postgresql://ann:{SECRET}@db:5432", "names no database"),
        (f"postgresql://ann:{SECRET}@db:x{SECRET}/work", "@ as %40"),
        (f"postgresql://ann:x@{SECRET}@db/work", "@ as %40"),
        ("postgresql://postgres.abc:[YOUR-PASSWORD]@db:5432/postgres", "still says [YOUR-PASSWORD]"),
        (f"postgresql://{PLACE}?options=-csearch_path%3Dx", "leave it out"),
        ("sqlite:///", "needs a file"),
    ],
)
def test_addresses_that_mean_nothing_are_explained_without_being_shown(address: str, said: str) -> None:
    with pytest.raises(UserError) as caught:
        locate(address)
    assert said in str(caught.value)
    shown = str(caught.value) + str(caught.value.__cause__)
    assert SECRET not in shown
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_whoever_uses_sqlite_loads_no_driver_of_postgresql(tmp_path: Path) -> None:
    program = (
        "import asyncio, sys, pathlib\n"
        "from nadg.domain.clock import SystemClock\n"
        "from nadg.store import open_store\n"
        "async def main():\n"
        "    async with open_store(pathlib.Path(sys.argv[1]), SystemClock()): pass\n"
        "asyncio.run(main())\n"
        "assert not {'psycopg', 'nadg.store.dialects.postgresql'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "nadg.db")], check=True)
