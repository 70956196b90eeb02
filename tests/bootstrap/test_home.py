"""The home folder: one clear sentence for each way in which it can be unfit."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nadg.bootstrap.home import Home
from nadg.bootstrap.worker import own_folder, serve_worker
from nadg.cli.main import run_command_line
from nadg.domain.errors import UserError
from nadg.settings import Settings


def home(folder: Path) -> Home:
    return Home(Settings(home=folder, worker_token=None))


def test_a_token_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    token = home(tmp_path).worker_token()
    assert len(token) > 40
    assert home(tmp_path).worker_token() == token
    assert (tmp_path / "worker.token").stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [tmp_path / "worker.token"]


def test_an_empty_token_protects_nothing(tmp_path: Path) -> None:
    (tmp_path / "worker.token").touch()
    with pytest.raises(UserError, match="is empty; delete it"):
        home(tmp_path).worker_token()


def test_a_token_file_that_no_header_can_carry_is_refused_unseen(tmp_path: Path) -> None:
    (tmp_path / "worker.token").write_bytes(b"s3cret-\xff\xc3\xa9")
    with pytest.raises(UserError, match="printable ASCII") as caught:
        home(tmp_path).worker_token()
    assert "s3cret" not in str(caught.value)


def test_what_stands_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "worker.token").mkdir()
    for name in ("blobs", "logs", "workers"):
        (tmp_path / name).touch()
    for use in (Home.worker_token, lambda one: one.blobs, lambda one: one.logs, lambda one: one.workers):
        with pytest.raises(UserError, match="cannot be used"):
            use(home(tmp_path))


def test_two_workers_share_no_folder(tmp_path: Path) -> None:
    assert own_folder(tmp_path, "127.0.0.1", 1) != own_folder(tmp_path, "127.0.0.2", 1)
    assert own_folder(tmp_path, "::1", 0).name == f"{os.getpid()}-__1"


def test_a_worker_that_isolates_nothing_is_asked_for_twice(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="add --allow-unsafe-none"):
        serve_worker(
            Settings(home=tmp_path, allow_unsafe_none=False),
            host="127.0.0.1",
            port=0,
            slots=1,
            name="",
            labels=(),
            sandbox="none",
            allow_unsafe_none=False,
        )


def rights(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_home_that_others_may_enter_is_closed_and_that_is_said_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "home"
    folder.mkdir()
    folder.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NADG_HOME", str(folder))
    assert run_command_line(["runs", "list"]) == 0
    assert capsys.readouterr().err == f"NADG_HOME={folder} was open to other users; now only you may enter it\n"
    assert rights(folder) == 0o700
    assert run_command_line(["runs", "list"]) == 0
    assert capsys.readouterr().err == ""


def test_a_folder_that_others_use_too_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").touch()
    tmp_path.chmod(0o755)
    with pytest.raises(UserError, match=r"holds 'letter\.txt', which is not NADG's.*chmod 700"):
        home(tmp_path)
    assert rights(tmp_path) == 0o755
    tmp_path.chmod(0o700)
    assert home(tmp_path).folder == tmp_path, "closed by its owner, it will do"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
@pytest.mark.parametrize("mode", [0o700, 0o755])
def test_a_folder_of_another_user_is_no_home(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    folder.chmod(mode)
    os.chown(folder, 12345, -1)
    with pytest.raises(UserError, match="belongs to another user"):
        home(folder)
    os.chown(folder, os.geteuid(), -1)
    assert home(folder).folder == folder


def test_other_users_cannot_read_the_database_even_in_a_folder_they_may_enter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_folder = tmp_path / "open"
    file = open_folder / "nadg.db"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NADG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NADG_DATABASE_URL", f"sqlite:///{file}")
    assert run_command_line(["runs", "list"]) == 0
    assert rights(file) == 0o600
    file.chmod(0o644)
    assert run_command_line(["workers", "list"]) == 0
    assert rights(file) == 0o600, "one that an older version made is closed too"
