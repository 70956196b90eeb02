"""A worker's clock may be years off: its run is timed by the master, and ends and is exported as any other."""

from __future__ import annotations

import datetime
from pathlib import Path

import msgspec
import pytest

from nadg.domain.assignment import Assignment
from nadg.domain.outcome import Outcome
from nadg.domain.plan import Foreach, Plan, Subtask
from nadg.domain.states import RunState
from nadg.engines.fake import Say, create_fake_outcome
from nadg.orchestrator.export import run_document
from tests.orchestrator.test_loop import CLOCK, PYTHON, Bench, on_bench

NEAR = datetime.timedelta(minutes=10)


@pytest.mark.parametrize(("started", "finished"), [(1971, 1971), (2999, 2999), (2999, 1971)])
def test_a_run_whose_workers_live_in_another_year(tmp_path: Path, started: int, finished: int) -> None:
    begin, end = (datetime.datetime(year, 6, 1, tzinfo=datetime.UTC) for year in (started, finished))
    plan = Plan(
        subtasks=(
            Subtask(id="items", work=PYTHON, foreach=Foreach(items=[5, 6, 7], shard_size=1)),
            Subtask(id="end", work=PYTHON, needs=("items",)),
        )
    )

    async def carry(assignment: Assignment, say: Say) -> Outcome:
        per_item = "/items/" in assignment.attempt_id
        made = create_fake_outcome(assignment, CLOCK, result=b"[1]" if per_item else b"1", per_item=per_item)
        receipt = msgspec.structs.replace(made.receipt, started_at=begin, finished_at=end)
        return msgspec.structs.replace(made, receipt=receipt)

    async def body(bench: Bench) -> None:
        await (await bench.loop(plan)).run()
        run = await bench.record()
        assert run.state is RunState.SUCCEEDED
        assert run.finished_at is not None
        assert abs(run.finished_at - CLOCK.now()) < NEAR
        attempts = [one for subtask in run.subtasks for shard in subtask.shards for one in shard.attempts]
        assert [one.finished_at for one in attempts] == [end] * 4
        assert f"{finished}-06-01" in str(run_document(run, bench.blobs))
        for event in await bench.store.runs.events_after("run1", 0):
            assert abs(event.at - CLOCK.now()) < NEAR

    on_bench(tmp_path, carry, body)
