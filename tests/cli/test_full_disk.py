"""A disk without room, for real: the sentence says where there was none."""

from __future__ import annotations

import os
import resource
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nadg.cli.main import run_command_line


def can_mount() -> bool:
    return os.geteuid() == 0 and subprocess.run(["unshare", "--mount", "true"], check=False).returncode == 0


@pytest.fixture
def no_room() -> Iterator[None]:
    """No file may grow beyond 64 KiB, as on a disk that is almost full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 << 10, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_where_an_input_finds_no_room_the_place_is_named(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    monkeypatch.setenv("NADG_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cars.csv").write_text("a,b\n" + "1,2\n" * 50_000)
    command = ["plan", "Describe the columns", "--input", "cars.csv"]
    assert run_command_line(command) == 0
    capsys.readouterr()
    shutil.rmtree(tmp_path / "home")
    request.getfixturevalue("no_room")
    assert run_command_line(command) == 1
    place = tmp_path / "home" / "blobs" / "incoming"
    assert capsys.readouterr().err == f"nadg: the system refused: File too large ({place})\n"


RUN = """
import sys
from nadg.bootstrap import grid
from nadg.cli.main import run_command_line
grid.OPENING_SECONDS = 1.5
sys.exit(run_command_line(["run", "Count the words"]))
"""
FULL = "the disk with the database file is full"


@pytest.mark.skipif(not can_mount(), reason="nobody here can mount a disk to fill")
@pytest.mark.parametrize("room", ["no file", "a small file"])
def test_where_the_database_finds_no_room_it_is_said_to_be_that(tmp_path: Path, room: str) -> None:
    """SQLite itself calls it an error of the disk, or a file that cannot be opened."""
    disk = tmp_path / "disk"
    disk.mkdir()
    made = sqlite3.connect(tmp_path / "nadg.db")
    made.executescript("PRAGMA journal_mode=WAL")
    made.close()
    environment = {**os.environ, "NADG_HOME": str(disk)}
    mounted = 'mount -t tmpfs -o size=64k,mode=700 none "$NADG_HOME" && mkdir "$NADG_HOME/blobs"'
    copied = 'cp nadg.db "$NADG_HOME/" &&' if room == "a small file" else ""
    full = f'{mounted} && {copied} dd if=/dev/zero of="$NADG_HOME/logs" 2>/dev/null || exec "$@"'
    argv = ["unshare", "--mount", "sh", "-c", full, "sh", sys.executable, "-c", RUN]
    done = subprocess.run(
        argv, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert f"The database does not answer ({FULL}); waiting, for 1.5 s at most." in done.stderr, done.stderr
    told = f"nadg: database {disk}/nadg.db could not be opened: {FULL}"
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, told)


@pytest.mark.skipif(not can_mount(), reason="nobody here can mount a disk to fill")
def test_where_a_worker_finds_no_room_the_place_is_named(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    environment = {**os.environ, "NADG_WORKER_TOKEN": "x" * 16, "NADG_HOME": str(disk)}
    full = 'mount -t tmpfs -o size=4k,mode=700 none "$NADG_HOME" && echo full > "$NADG_HOME/nadg.db"'
    start = f'{full} && exec "{sys.executable}" -m nadg worker --port 0 --slots 1'
    argv = ["unshare", "--mount", "sh", "-c", start]
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    assert f"nadg: the system refused: No space left on device ({disk}/workers/" in done.stderr
