"""What does it save to run a plan while the model still writes it?

One command, the same eight subtasks (2 s of waiting each), the same imitation of the Gemini API that writes 50
tokens a second, the same grid; three ways in one run:

- streamed: `plan_and_run`, a subtask starts when its definition is complete
- whole plan first: `plan`, then `run`
- step by step (ReAct): one call for each subtask, which is told the results so far, and runs before the next call

    python benchmarks/streaming_plan.py [--tokens-per-second 50] [--seconds 2] [--workers 4]

Goal: first dispatch at most 20 % into the stream. Workers only wait here, so there may be more than cores.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec
from environment import print_environment
from pydantic import SecretStr

from nadg.bootstrap.asked import ModelWishes
from nadg.bootstrap.grid import Grid, open_grid
from nadg.bootstrap.quiet import QuietWatcher
from nadg.domain.changes import AttemptAdded, Change
from nadg.domain.run import RunOptions
from nadg.domain.states import RunState
from nadg.settings import Settings
from tests.support.gemini import Answer, GeminiImitation, Request, Say, tokens_in

COMMAND = "Compare the three regions and say which one to invest in"
SHAPE = {
    "north": [], "south": [], "west": [], "prices": [],
    "growth": ["north", "south", "west"], "costs": ["north", "prices"],
    "ranking": ["growth", "costs"], "advice": ["ranking"],
}  # fmt: skip
ANSWER = "Invest in the north [advice]."


def subtask(name: str, needs: list[str], seconds: float) -> dict[str, Any]:
    """About 150 tokens, as a model would write it."""
    code = (
        "import time\n\n\n"
        f"def figures_of_{name}(earlier):\n"
        f'    """Collect the figures of {name} and weigh them with what is known already."""\n'
        f"    time.sleep({seconds})\n"
        "    score = sum(one['score'] for one in earlier.values()) + 1\n"
        "    return {'score': score, 'rests_on': sorted(earlier)}\n\n\n"
        f"result = figures_of_{name}(needs)\n"
    )
    title = f"The figures of {name}, weighed with what is known"
    return {"id": name, "title": title, "needs": needs, "work": {"kind": "python", "code": code}}


class Model:
    """Writes the plan: all of it, or for `step by step` one subtask a call."""

    def __init__(self, seconds: float, rate: float) -> None:
        self._rate = rate
        self.subtasks = [subtask(name, list(needs), seconds) for name, needs in SHAPE.items()]
        self.plan = json.dumps({"subtasks": self.subtasks, "answer": "advice"}, indent=1)
        self.next_step: int | None = None
        self.plan_began = 0.0

    def __call__(self, request: Request) -> Answer:
        if request.json_schema is None:
            return Say(ANSWER, tokens_per_second=self._rate)
        self.plan_began = time.perf_counter()
        text = self.plan
        if self.next_step is not None:
            one = {**self.subtasks[self.next_step], "needs": []}
            text = json.dumps({"subtasks": [one], "answer": one["id"]}, indent=1)
        return Say(text, tokens_per_second=self._rate)

    @property
    def stream_seconds(self) -> float:
        """How long the whole plan takes to write."""
        return tokens_in(self.plan) / self._rate


class FirstDispatch(QuietWatcher):
    """Notes when the first attempt was handed to a worker."""

    def __init__(self) -> None:
        self.at: float | None = None

    def changed(self, run_id: str, change: Change) -> None:
        if self.at is None and isinstance(change, AttemptAdded):
            self.at = time.perf_counter()


async def streamed(grid: Grid, model: Model) -> tuple[float, float]:
    """Seconds in all, and the part of the stream that had passed at the first dispatch."""
    watcher, began = FirstDispatch(), time.perf_counter()
    record = await grid.plan_and_run(COMMAND, [], RunOptions(), watcher)
    assert record.state is RunState.SUCCEEDED, record.reason
    assert watcher.at is not None
    return time.perf_counter() - began, (watcher.at - model.plan_began) / model.stream_seconds


async def whole_plan_first(grid: Grid) -> float:
    began = time.perf_counter()
    planned = await grid.plan(COMMAND, None, [])
    record = await grid.run(planned, RunOptions(compose_answer=True), QuietWatcher())
    assert record.state is RunState.SUCCEEDED, record.reason
    return time.perf_counter() - began


async def step_by_step(grid: Grid, model: Model) -> float:
    """Each call sees what the steps before gave; the last one's answer is composed as in the other ways."""
    began = time.perf_counter()
    known: dict[str, Any] = {}
    for step, name in enumerate(SHAPE):
        model.next_step = step
        planned = await grid.plan(f"{COMMAND}. So far: {json.dumps(known)}. The next step?", None, [])
        last = step == len(SHAPE) - 1
        record = await grid.run(planned, RunOptions(compose_answer=last), QuietWatcher())
        assert record.state is RunState.SUCCEEDED, record.reason
        result = record.subtasks[0].result
        known[name] = msgspec.json.decode(result.inline or b"null") if result else None
    model.next_step = None
    return time.perf_counter() - began


def written(folder: Path) -> Path:
    """A plan that warms the workers up."""
    file = folder / "warm.yaml"
    file.write_text("subtasks:\n  - id: one\n    work: {kind: python, code: 'result = 1'}\n")
    return file


async def measure(options: argparse.Namespace) -> None:
    model = Model(options.seconds, options.tokens_per_second)
    with tempfile.TemporaryDirectory() as folder:
        async with GeminiImitation(model) as gemini:
            key = SecretStr("test-key")
            settings = Settings(home=Path(folder), google_base_url=gemini.url, gemini_api_key=key)
            async with open_grid(settings, ModelWishes(use_cache=False), workers=options.workers) as grid:
                warm = await grid.plan(None, written(Path(folder)), [])
                await grid.run(warm, RunOptions(), QuietWatcher())
                total, share = await streamed(grid, model)
                waited = await whole_plan_first(grid)
                stepped = await step_by_step(grid, model)
    print(f"plan: {len(SHAPE)} subtasks, {tokens_in(model.plan):,} tokens, {model.stream_seconds:.1f} s to write")
    print(f"first dispatch {share:.1%} into the stream (goal: at most 20 %)")
    for name, seconds in (("streamed", total), ("whole plan first", waited), ("step by step", stepped)):
        print(f"{name:<17} {seconds:6.2f} s   {total / seconds:.2f} of it when streamed")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens-per-second", type=float, default=50)
    parser.add_argument("--seconds", type=float, default=2.0, help="what each subtask takes")
    parser.add_argument("--workers", type=int, default=4)
    options = parser.parse_args()
    print_environment("pydantic-ai-slim", "google-genai", "msgspec")
    asyncio.run(measure(options))


if __name__ == "__main__":
    main()
