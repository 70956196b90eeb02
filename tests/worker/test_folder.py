"""Whose folder is whose: a worker that waits for another master keeps its own, a killed one does not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nadg.bootstrap.local import remove_leftovers
from nadg.domain.errors import UserError
from nadg.worker.folder import is_in_use, take_folder


def test_a_folder_is_one_workers_alone(tmp_path: Path) -> None:
    with take_folder(tmp_path / "w"):
        assert is_in_use(tmp_path / "w")
        with pytest.raises(UserError, match="give each a folder of its own"), take_folder(tmp_path / "w"):
            raise AssertionError("taken twice")
    assert not is_in_use(tmp_path / "w")
    assert not is_in_use(tmp_path / "nowhere")
    with take_folder(tmp_path / "w"):
        assert is_in_use(tmp_path / "w")


def test_leftovers_go_unless_a_worker_lives_in_them(tmp_path: Path, start_worker: Any) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as dead:
        dead.wait()
    worker = start_worker("w", root=str(tmp_path / "workers" / f"{dead.pid}-1"))
    (tmp_path / "workers" / f"{dead.pid}-2" / "blobs").mkdir(parents=True)
    remove_leftovers(tmp_path / "workers")
    assert [folder.name for folder in (tmp_path / "workers").iterdir()] == [f"{dead.pid}-1"]
    worker.kill()
    worker.process.wait()
    remove_leftovers(tmp_path / "workers")
    assert list((tmp_path / "workers").iterdir()) == []
