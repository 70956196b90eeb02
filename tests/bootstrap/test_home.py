"""The home folder: one clear sentence for each way in which it can be unfit."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nadg.bootstrap.home import Home
from nadg.bootstrap.worker import own_folder, serve_worker
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
