"""Which workers a run has: those elsewhere, local ones beside them, and what is said where there is none."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from nadg.bootstrap.grid import open_grid
from nadg.bootstrap.quiet import QuietWatcher
from nadg.domain.run import RunOptions
from nadg.engines.grid import WorkerView
from nadg.settings import Settings
from tests.support.nadg_folder import Folder
from tests.support.worker_process import start_worker

__all__ = ["start_worker"]

PLAN = 'subtasks: [{id: one, work: {kind: python, code: "result = 1"}}]'


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path, tmp_path / "home")


class Roll(QuietWatcher):
    """Keeps the addresses of all workers there ever were."""

    def __init__(self) -> None:
        self.urls: set[str] = set()

    def workers(self, views: Sequence[WorkerView]) -> None:
        self.urls |= {view.url for view in views}


@pytest.mark.parametrize(("own", "count"), [(None, 1), (0, 1), (2, 3)])
@pytest.mark.parametrize("registered", [False, True])
def test_local_workers_come_beside_those_elsewhere(
    start_worker: Any, folder: Folder, own: int | None, count: int, registered: bool
) -> None:
    worker = start_worker("far")
    urls = () if registered else (worker.url,)
    home, token = folder.path / "home", SecretStr(worker.token)
    settings = Settings(home=home, worker_urls=urls, worker_token=token, workers=5)
    if registered:
        assert folder.ask("workers", "add", worker.url).returncode == 0
    roll = Roll()

    async def carried_out() -> str:
        async with open_grid(settings, workers=own) as grid:
            planned = await grid.plan(None, folder.path / folder.plan(PLAN), ())
            return str((await grid.run(planned, RunOptions(), roll)).state)

    assert asyncio.run(carried_out()) == "succeeded"
    assert (len(roll.urls), worker.url in roll.urls) == (count, True)


def test_with_workers_0_a_run_uses_those_elsewhere(start_worker: Any, folder: Folder) -> None:
    worker = start_worker("far")
    folder.environment |= {"NADG_WORKER_URLS": worker.url, "NADG_WORKER_TOKEN": worker.token}
    done = folder.nadg("run", "--plan", folder.plan(PLAN), "--workers", "0", "--json")
    (shard,) = json.loads(done.stdout)["subtasks"][0]["shards"]
    assert [one["worker"] for one in shard["attempts"]] == ["far"], done.stderr


def test_without_any_worker_the_one_that_is_0_is_named(folder: Folder) -> None:
    said = folder.refused("run", "--plan", folder.plan(PLAN), "--workers", "0", "--quiet")
    assert "none that is registered answers, and --workers is 0" in said
    folder.environment["NADG_WORKERS"] = "0"
    said = folder.refused("run", "--plan", folder.plan(PLAN), "--quiet")
    assert "none that is registered answers, and NADG_WORKERS is 0" in said


def test_a_named_worker_that_cannot_be_used_is_named_once(folder: Folder) -> None:
    for url, expected in (("http://127.0.0.1:9", "nothing listens at"), ("ftp://x", "is not usable")):
        folder.environment["NADG_WORKER_URLS"] = url
        said = folder.refused("run", "--plan", folder.plan(PLAN), "--quiet")
        assert said.startswith("nadg: NADG_WORKER_URLS: ")
        assert (expected in said, said.count(url)) == (True, 1), said
