"""Commands that only look at a server's database leave it as it is."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from nadg.cli.main import run_command_line
from nadg.store.looking import look_at
from nadg.store.schema import REVISIONS
from tests.support.postgres import Server


@pytest.fixture
def url(server: Server, empty_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Of a database with nothing in it, which is NADG's."""
    url = server.url(empty_database)
    monkeypatch.setenv("NADG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NADG_DATABASE_URL", url)
    monkeypatch.chdir(tmp_path)
    return url


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        ("runs list", 0, "No runs yet"),
        ("runs list --json", 0, "[]"),
        ("runs show abc", 2, "no run abc"),
        ("runs cancel abc", 2, "no run abc"),
        ("runs attach abc", 2, "no run abc"),
        ("workers list", 0, "No workers are registered"),
        ("workers remove abc", 2, "abc"),
    ],
)
def test_nothing_is_made_where_there_is_nothing(
    url: str, capsys: pytest.CaptureFixture[str], command: str, code: int, words: str
) -> None:
    assert run_command_line(command.split()) == code
    told = capsys.readouterr()
    assert words in told.out + told.err
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = 'nadg'").fetchall() == []


def test_who_adds_something_makes_the_tables(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["workers", "add", "http://127.0.0.1:7860"]) == 0
    assert look_at(url).fits
    assert run_command_line(["workers", "list"]) == 0
    assert "7860" in capsys.readouterr().out


def test_old_tables_are_left_to_masters(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(["db", "upgrade"]) == 0
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE nadg.schema_version SET version_num = %s", [REVISIONS[-2]])
    capsys.readouterr()
    assert run_command_line(["runs", "list"]) == 2
    told = capsys.readouterr().err
    assert f"has tables of version {REVISIONS[-2]}, this NADG wants {REVISIONS[-1]}; run `nadg db upgrade`" in told
    assert look_at(url).version == REVISIONS[-2]
