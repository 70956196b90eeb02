"""A process that commits as fast as it can and prints the last sequence number after every answer.

`writer_process.py DATABASE RUN_ID ROUNDS`: in each round the plan grows, and some attempts are added, begun
and ended, several commits at a time; after the last round the run succeeds.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

from nadg.domain.assignment import Whole
from nadg.domain.changes import (
    AttemptAdded,
    AttemptChanged,
    Change,
    PlannedSubtask,
    RunChanged,
    ShardChanged,
    ShardsAdded,
    SubtasksAdded,
)
from nadg.domain.clock import SystemClock
from nadg.domain.plan import MAX_SUBTASKS, Plan, PythonWork, Subtask
from nadg.domain.run import Lease, NewRun
from nadg.domain.states import AttemptState, RunState, ShardState
from nadg.store import SqlStore, open_store

WIDTH = 8
"""Shards that are under way at the same time."""


async def commit(store: SqlStore, lease: Lease, changes: Sequence[Change]) -> None:
    print(await store.runs.commit(lease, changes), flush=True)


async def try_shard(store: SqlStore, lease: Lease, index: int) -> None:
    name = f"{lease.run_id}/a/{index}/1"
    await commit(
        store,
        lease,
        [
            AttemptAdded(attempt_id=name, subtask_id="a", index=index, number=1),
            ShardChanged(subtask_id="a", index=index, state=ShardState.RUNNING),
        ],
    )
    await commit(store, lease, [AttemptChanged(attempt_id=name, state=AttemptState.RUNNING, worker="w")])
    await commit(
        store,
        lease,
        [
            AttemptChanged(attempt_id=name, state=AttemptState.SUCCEEDED, worker="w"),
            ShardChanged(subtask_id="a", index=index, state=ShardState.SUCCEEDED),
        ],
    )


async def grow(store: SqlStore, lease: Lease, number: int) -> None:
    """One more subtask, while the plan has room."""
    if number < MAX_SUBTASKS - 1:
        one = Subtask(id=f"s{number}", work=PythonWork(kind="python", code="1"))
        planned = PlannedSubtask(id=one.id, title="", document=one.model_dump(mode="json"))
        await commit(store, lease, [SubtasksAdded(subtasks=(planned,))])


async def main(database: str, run_id: str, rounds: int) -> None:
    plan = Plan(subtasks=(Subtask(id="a", work=PythonWork(kind="python", code="1")),))
    async with open_store(database, SystemClock()) as store:
        new = NewRun(id=run_id, command="x", planner="file", plan=plan, planning=True)
        lease = await store.runs.create(new, run_id)
        await commit(store, lease, [RunChanged(state=RunState.RUNNING)])
        for first in range(0, rounds * WIDTH, WIDTH):
            await commit(store, lease, [ShardsAdded(subtask_id="a", first=first, pieces=(Whole(),) * WIDTH)])
            tries = (try_shard(store, lease, index) for index in range(first, first + WIDTH))
            await asyncio.gather(grow(store, lease, first // WIDTH), *tries)
        await commit(store, lease, [RunChanged(state=RunState.SUCCEEDED)])


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
