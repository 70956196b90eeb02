"""A run whose one worker is broken, so that everything crashes there, while another one is well."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from nadg.bootstrap.grid import open_grid
from nadg.bootstrap.quiet import QuietWatcher
from nadg.domain.run import RunOptions, RunRecord
from nadg.engines.grid import WorkerView
from nadg.settings import Settings
from tests.support.worker_process import start_worker

__all__ = ["start_worker"]

ITEMS = list(range(14))
PLAN = f"""
subtasks:
  - id: squares
    foreach: {{items: {ITEMS}, shard_size: 1}}
    work: {{kind: python, code: "import time; time.sleep(0.05); result = item * item"}}
"""


class Roll(QuietWatcher):
    """Keeps what was last said of each worker."""

    def __init__(self) -> None:
        self.views: dict[str, WorkerView] = {}

    def workers(self, views: Sequence[WorkerView]) -> None:
        self.views = {view.info.name: view for view in views if view.info}


def test_a_worker_whose_folder_is_gone_is_set_aside_and_the_good_one_does_the_work(
    tmp_path: Path, start_worker: Any
) -> None:
    bad, good = start_worker("bad", slots=1), start_worker("good", slots=1)
    (tmp_path / "plan.yaml").write_text(PLAN)
    urls = (bad.url, good.url)
    settings = Settings(home=tmp_path / "home", worker_urls=urls, worker_token=SecretStr(bad.token), workers=0)
    roll = Roll()

    async def carried_out() -> RunRecord:
        async with open_grid(settings) as grid:
            planned = await grid.plan(None, tmp_path / "plan.yaml", ())
            shutil.rmtree(tmp_path / "bad")
            (tmp_path / "bad").write_text("a file where its folder was")
            record = await grid.run(planned, RunOptions(), roll)
            await grid.run(planned, RunOptions(), roll)  # it begins with a look at the workers
            return record

    record = asyncio.run(carried_out())
    attempts = [attempt for shard in record.subtasks[0].shards for attempt in shard.attempts]
    lost = [attempt for attempt in attempts if str(attempt.state) == "lost"]
    assert str(record.state) == "succeeded", record.reason
    assert {attempt.worker for attempt in lost} == {"bad"}
    assert 3 <= len(lost) < 12, "three, and the few that were on their way to it"
    assert roll.views["bad"].state == "quarantined"
    assert "times in a row by its own fault" in roll.views["bad"].reason
