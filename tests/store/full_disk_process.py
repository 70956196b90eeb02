"""Commits to a database on a disk that is full, and makes room when told of the trouble.

`full_disk_process.py FOLDER`: prints what it is told, and at last the number of the commit's event.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from nadg.domain.blob import Value
from nadg.domain.changes import SubtaskChanged
from nadg.domain.clock import SystemClock
from nadg.domain.plan import Plan, PythonWork, Subtask
from nadg.domain.run import NewRun
from nadg.domain.states import SubtaskState
from nadg.store import open_store
from nadg.store.api import StoreTrouble

MOVES = (SubtaskState.PREPARING, SubtaskState.RUNNING, SubtaskState.CLOSING)
QUICK = 20
LARGE = SubtaskChanged(subtask_id="a", state=SubtaskState.SUCCEEDED, result=Value(inline=b"1" * 400_000))


class QuickClock(SystemClock):
    """Its seconds are short."""

    def monotonic(self) -> float:
        return super().monotonic() * QUICK


async def wait_shortly(seconds: float) -> None:
    await asyncio.sleep(seconds / QUICK)


async def main(folder: Path) -> None:
    litter = folder / "litter"

    def told(trouble: StoreTrouble | None) -> None:
        print(trouble and trouble.reason, flush=True)
        litter.unlink(missing_ok=True)

    plan = Plan(subtasks=(Subtask(id="a", work=PythonWork(kind="python", code="1")),))
    opening = open_store(
        folder / "nadg.db", QuickClock(), patience_seconds=None, on_trouble=told, wait=wait_shortly
    )
    async with opening as store:
        lease = await store.runs.create(NewRun(id="run", command="x", planner="file", plan=plan), "me")
        await store.runs.commit(lease, [SubtaskChanged(subtask_id="a", state=state) for state in MOVES])
        fill(litter)
        print(await store.runs.commit(lease, [LARGE]), flush=True)


def fill(litter: Path) -> None:
    """Leave no room on the disk."""
    with litter.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            return


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
