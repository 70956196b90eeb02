"""Settings that do not fit, through the real command: one sentence that names the variable, exit code 2."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from nadg.cli.main import run_command_line
from nadg.settings import NOT_OURS, Settings

ROOT = Path(__file__).parents[2]
SECONDS = ("NADG_GRACE_SECONDS", "NADG_NO_WORKER_SECONDS", "NADG_LEASE_SECONDS")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, and a user's own folder beside it."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    monkeypatch.delenv("NADG_HOME", raising=False)
    return here


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run_command_line(arguments) == 2
    streams = capsys.readouterr()
    assert streams.out == ""
    assert (streams.err.startswith("nadg: "), streams.err.count("\n")) == (True, 1), streams.err
    return streams.err


@pytest.mark.parametrize("place", ["environment", ".env"])
def test_an_empty_setting_counts_as_unset(place: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("NADG_HOME", "NADG_DATABASE_URL", "NADG_WORKER_TOKEN", "NADG_MIN_SANDBOX", "NADG_WORKERS")
    if place == ".env":
        (folder / ".env").write_text("".join(f"{one}=\n" for one in names))
    else:
        for one in names:
            monkeypatch.setenv(one, "")
    assert run_command_line(["runs", "list"]) == 0
    assert [one.name for one in folder.iterdir() if one.name != ".env"] == []
    assert (folder.parent / "user" / ".nadg" / "nadg.db").is_file()


def test_a_home_of_spaces_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NADG_HOME", "  ")
    assert "NADG_HOME: the folder's name is blank" in refused(capsys, "runs", "list")
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("url", ["foo", "s3cret.db", "mysql://s3cret@x/y", "sqlite://", "sqlite:s3cret://x:y:z"])
def test_a_database_that_cannot_be_one_is_refused_by_the_variables_name(
    url: str, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NADG_DATABASE_URL", url)
    said = refused(capsys, "runs", "list")
    assert "NADG_DATABASE_URL: " in said
    assert "write sqlite:////folder/file.db" in said
    assert "s3cret" not in said
    assert list(folder.iterdir()) == []


def test_a_database_url_is_used(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NADG_DATABASE_URL", f"sqlite:///{folder}/mine.db")
    assert run_command_line(["runs", "list"]) == 0
    assert (folder / "mine.db").is_file()


@pytest.mark.parametrize("name", SECONDS)
@pytest.mark.parametrize("value", ["inf", "-inf", "nan", "1e308", "86401", "0", "-1"])
def test_times_are_finite_and_at_most_a_day(
    name: str, value: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    assert f"nadg: {name}: " in refused(capsys, "runs", "list")


@pytest.mark.parametrize("name", SECONDS)
@pytest.mark.parametrize("value", ["1.5", "86400"])
def test_times_of_up_to_a_day_are_taken(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    assert run_command_line(["runs", "list"]) == 0


@pytest.mark.parametrize("token", ["s3cret-\u00e9", "s3cret\nnext", " s3cret", "s3cret\x07", "s3cret\t"])
def test_a_token_that_no_header_can_carry_is_refused_unseen(
    token: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NADG_WORKER_TOKEN", token)
    for arguments in (["worker", "--port", "0"], ["workers", "test", "http://127.0.0.1:9"], ["runs", "list"]):
        said = refused(capsys, *arguments)
        assert "NADG_WORKER_TOKEN: a token is printable ASCII" in said
        assert "s3cret" not in said


def test_a_token_that_others_could_guess_is_refused_where_they_could_try(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NADG_WORKER_TOKEN", "s3cret".ljust(15, "x"))
    said = refused(capsys, "worker", "--host", "0.0.0.0", "--port", "0")
    assert "NADG_WORKER_TOKEN: the token is shorter than 16 characters" in said
    assert "secrets.token_urlsafe(32)" in said
    assert "s3cret" not in said


@pytest.mark.parametrize(("host", "length"), [("0.0.0.0", 16), ("127.0.0.1", 1)])
def test_a_token_that_is_long_enough_for_its_host_is_taken(host: str, length: int, tmp_path: Path) -> None:
    environment = {**os.environ, "NADG_WORKER_TOKEN": "x" * length, "NADG_HOME": str(tmp_path / "home")}
    argv = [sys.executable, "-m", "nadg", "worker", "--host", host, "--port", "0", "--slots", "1"]
    with subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        assert '"event":"ready"' in worker.stdout.readline()
        worker.terminate()


def test_a_variable_that_is_no_setting_is_told_with_the_one_it_may_mean(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / ".env").write_text("NADG_WORKER=1\nOTHER=1\n")
    monkeypatch.setenv("NADG_MIN_SANBOX", "namespaces")
    monkeypatch.setenv("NADG_\x1bqqqqqq", "1")
    monkeypatch.setenv("NADG_NO", "1")
    assert run_command_line(["runs", "list"]) == 0
    assert capsys.readouterr().err.splitlines() == [
        "nadg: there is no setting NADG_\\x1bQQQQQQ; it is ignored; see docs/SETTINGS.md",
        "nadg: there is no setting NADG_MIN_SANBOX; did you mean NADG_MIN_SANDBOX? see docs/SETTINGS.md",
        "nadg: there is no setting NADG_NO; it is ignored; see docs/SETTINGS.md",
        "nadg: there is no setting NADG_WORKER; did you mean NADG_WORKERS? see docs/SETTINGS.md",
    ]


def test_variables_that_are_known_are_not_told(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NADG_PYTHON", "python3")
    monkeypatch.setenv("NADG_FUZZ_FACTOR", "3")
    (folder / ".env").write_text("NADG_WORKERS=1\nNADG_VENV=x\n")
    assert run_command_line(["runs", "list"]) == 0
    assert capsys.readouterr().err == ""


def test_every_variable_of_the_prefix_that_is_read_somewhere_is_known() -> None:
    files = [ROOT / "quick-start.sh", *(ROOT / "tests").rglob("*.py"), *(ROOT / "src").rglob("*.py")]
    read = re.compile(r"""(?:environ(?:\.get)?[(\[]["']|\$\{|_VARIABLE = ["']|\[')(NADG_[A-Z_]+)""")
    found = {name for file in files for name in read.findall(file.read_text(encoding="utf-8"))}
    known = {f"NADG_{name.upper()}" for name in Settings.model_fields}
    assert {"NADG_PYTHON", "NADG_FUZZ_FACTOR"} <= found
    assert found - known == set(NOT_OURS)


def test_a_dot_env_file_of_another_encoding_is_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / ".env").write_bytes(b"NADG_WORKERS=\xff\n")
    assert "the file .env in this folder is not UTF-8 text" in refused(capsys, "runs", "list")
