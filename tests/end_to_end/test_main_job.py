"""The main job through everything: words and files in, an answer out, on real worker processes."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import re
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

from nadg.bootstrap.grid import Grid, open_grid
from nadg.bootstrap.quiet import QuietWatcher
from nadg.domain.changes import AttemptChanged, Change
from nadg.domain.run import RunOptions
from nadg.domain.states import AttemptState
from nadg.engines.grid import WorkerView
from nadg.settings import Settings

EXAMPLES = Path(__file__).parents[2] / "examples"
REVIEWS = "Analyze the sentiment of customer reviews, categorize them by topic, and generate a summary report"
CARS = (
    "Process the dataset by cleaning missing values, performing statistical analysis, and creating visualizations"
)
SLOW_PLAN = """
subtasks:
  - id: count
    work: {kind: python, code: "print('begun', flush=True); result = sum(range(30_000_000))"}
    foreach: {items: [1, 2, 3, 4]}
"""


def on_grid(folder: Path, body: Callable[[Grid], Awaitable[None]]) -> None:
    async def inside() -> None:
        async with open_grid(Settings(home=folder / "home"), workers=2) as grid:
            await body(grid)

    asyncio.run(inside())


async def carry_out(
    grid: Grid,
    out: Path,
    watcher: QuietWatcher,
    *,
    command: str | None = None,
    plan: Path | None = None,
    data: str = "",
) -> dict[str, Any]:
    """Plan, run, export; the content of run.json."""
    planned = await grid.plan(command, plan, [EXAMPLES / data] if data else [])
    record = await grid.run(planned, RunOptions(), watcher)
    await grid.export(record.id, out)
    document: dict[str, Any] = json.loads((out / "run.json").read_text())
    return document


def pictures_stand(out: Path) -> int:
    """How many pictures the answer shows; every one of them must be there."""
    shown = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", (out / "answer.md").read_text())
    assert all((out / path).read_bytes().startswith(b"\x89PNG") for path in shown)
    return len(shown)


def test_the_two_example_commands(tmp_path: Path) -> None:
    async def body(grid: Grid) -> None:
        reviews = await carry_out(grid, tmp_path / "r", QuietWatcher(), command=REVIEWS, data="reviews.csv")
        cars = await carry_out(grid, tmp_path / "c", QuietWatcher(), command=CARS, data="cars.csv")
        assert (reviews["state"], cars["state"]) == ("succeeded", "succeeded")

    on_grid(tmp_path, body)
    assert pictures_stand(tmp_path / "r") >= 3
    assert pictures_stand(tmp_path / "c") >= 4
    assert_sentiments_equal_one_process(tmp_path / "r/artifacts/sentiment/sentiment.csv")
    answer = (tmp_path / "r/answer.md").read_text()
    assert re.search(r"human_rating.*0\.59", answer), "the correlation with the human ratings"


def assert_sentiments_equal_one_process(file: Path) -> None:
    with (EXAMPLES / "reviews.csv").open(newline="") as given, file.open(newline="") as made:
        before, after = list(csv.DictReader(given)), list(csv.DictReader(made))
    analyzer = SentimentIntensityAnalyzer()
    assert len(after) == 3708
    for row, scored in zip(before, after, strict=True):
        assert {name: scored[name] for name in row} == row
        assert float(scored["compound"]) == analyzer.polarity_scores(row["text"])["compound"]


class Killer(QuietWatcher):
    """Kills, once, the first worker that is heard from."""

    def __init__(self) -> None:
        self.process_ids: dict[str, int] = {}
        self.attempts: dict[str, str] = {}
        self.killed = ""

    def workers(self, views: object) -> None:
        assert isinstance(views, list)
        found: list[WorkerView] = views
        self.process_ids.update({view.info.name: view.info.process_id for view in found if view.info})

    def changed(self, run_id: str, change: Change) -> None:
        if isinstance(change, AttemptChanged) and change.state is AttemptState.RUNNING:
            self.attempts[change.attempt_id] = change.worker
            self._strike(change.worker)

    def _strike(self, worker: str) -> None:
        if not self.killed and worker in self.process_ids:
            self.killed = worker
            os.kill(self.process_ids[worker], signal.SIGKILL)


def test_a_killed_worker_costs_an_attempt_and_not_the_run(tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text(SLOW_PLAN)
    killer = Killer()

    async def body(grid: Grid) -> None:
        document = await carry_out(grid, tmp_path / "out", killer, plan=plan)
        assert document["state"] == "succeeded"
        (count,) = document["subtasks"]
        assert count["result"] == [sum(range(30_000_000))] * 4
        tries = [shard["attempts"] for shard in count["shards"]]
        lost = [attempts for attempts in tries if attempts[0]["state"] == "lost"]
        assert lost
        for first, second in lost:
            assert first["worker"] == killer.killed
            assert (second["state"], second["exit_code"]) == ("succeeded", 0)
        assert sum(len(attempts) for attempts in tries) == len(tries) + len(lost)

    on_grid(tmp_path, body)
    assert not list((tmp_path / "home/workers").iterdir())
