"""The main job twice, on real worker processes: the second time nothing runs, and the answer is the same."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from nadg.bootstrap.grid import Grid, open_grid
from nadg.bootstrap.quiet import QuietWatcher
from nadg.domain.run import RunOptions
from nadg.settings import Settings

REVIEWS = Path(__file__).parents[2] / "examples/reviews.csv"
COMMAND = "Analyze the sentiment of customer reviews and generate a summary report"


def attempts(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        attempt for subtask in document["subtasks"] for shard in subtask["shards"] for attempt in shard["attempts"]
    ]


def without_attempts(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [{**subtask, "shards": len(subtask["shards"])} for subtask in document["subtasks"]]


async def carried_out(grid: Grid, table: Path, options: RunOptions | None = None) -> dict[str, Any]:
    planned = await grid.plan(COMMAND, None, [table])
    record = await grid.run(planned, options or RunOptions(), QuietWatcher())
    assert record.state == "succeeded", record.reason
    return grid.run_document(record)


def test_the_same_command_again_runs_nothing_and_gives_the_same(tmp_path: Path) -> None:
    few = tmp_path / "reviews.csv"
    few.write_text("".join(REVIEWS.read_text().splitlines(keepends=True)[:600]))

    async def body() -> None:
        async with open_grid(Settings(home=tmp_path / "home"), workers=1) as grid:
            first = await carried_out(grid, few)
            isolated = all(attempt["sandbox_tier"] != "none" for attempt in attempts(first))
            assert all(attempt["environment"] for attempt in attempts(first))
            assert all(attempt["reused_from"] is None for attempt in attempts(first))
            again = await carried_out(grid, few)
            assert (again["answer"], without_attempts(again)) == (first["answer"], without_attempts(first))
            origins = [attempt["reused_from"] for attempt in attempts(again)]
            assert origins == [attempt["id"] if isolated else None for attempt in attempts(first)]
        async with open_grid(Settings(home=tmp_path / "home"), workers=1) as grid:
            later = await carried_out(grid, few)
            assert [attempt["reused_from"] for attempt in attempts(later)] == origins, "by other processes too"

    asyncio.run(body())
