"""A run whose master went while its plan was still being written: it is planned anew, whole, and ends."""

from __future__ import annotations

import asyncio
from pathlib import Path

from nadg.bootstrap.grid import open_grid
from nadg.bootstrap.planning import take_inputs
from nadg.bootstrap.quiet import QuietWatcher
from nadg.domain.clock import SystemClock
from nadg.domain.plan import Plan
from nadg.domain.run import NewRun, RunOptions, RunRecord
from nadg.domain.states import RunState, SubtaskState
from nadg.link.blobfolder import BlobFolder
from nadg.settings import Settings
from nadg.store import open_store

REVIEWS = Path(__file__).parents[2] / "examples" / "reviews.csv"
BEGUN = Plan.model_validate({"subtasks": [{"id": "begun", "work": {"kind": "python", "code": "result = 1"}}]})
COMMAND = "Analyze the sentiment of customer reviews"


def test_the_plan_is_written_anew_and_the_run_ends(tmp_path: Path) -> None:
    home = tmp_path / "home"

    async def carried_on() -> tuple[RunRecord, RunRecord]:
        async with open_grid(Settings(home=home), workers=1) as grid:
            planned = await grid.plan(COMMAND, None, [REVIEWS])
            undisturbed = await grid.run(planned, RunOptions(), QuietWatcher())
            inputs = take_inputs([REVIEWS], BlobFolder(home / "blobs"))
            new = NewRun(
                id="half", command=COMMAND, planner="some:model", plan=BEGUN, inputs=inputs, planning=True
            )
            async with open_store(home / "nadg.db", SystemClock()) as store:
                await store.runs.release(await store.runs.create(new, "gone", 60))
                lease = await store.runs.claim("half", "me", 60)
                assert lease is not None
                record = await grid.go_on(await store.runs.get("half"), lease, QuietWatcher(), print)
        return undisturbed, record

    undisturbed, record = asyncio.run(carried_on())
    assert (record.state, record.planning, record.planner) == (RunState.SUCCEEDED, False, "builtin")
    assert record.plan.answer_id == undisturbed.plan.answer_id
    states = {one.id: one.state for one in record.subtasks}
    assert states.pop("begun") is not SubtaskState.RUNNING, "what the new plan does without is called off or done"
    assert set(states.values()) == {SubtaskState.SUCCEEDED}
