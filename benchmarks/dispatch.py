"""How many trivial shards a second go through everything: plan, SQLite file, link, sandbox, and back?

Peers in the same run: a loop that forks a child per task and waits for it (the least any isolation by
process can cost), and `python -c` per task (what a script does).

    python benchmarks/dispatch.py [--shards 2000] [--workers 2] [--rounds 3]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bare_fork import fork_rate
from environment import print_environment, spread

from nadg.bootstrap.grid import Grid, open_grid
from nadg.bootstrap.quiet import QuietWatcher
from nadg.domain.run import RunOptions
from nadg.domain.states import RunState
from nadg.settings import Settings


def python_loop(count: int) -> float:
    """Tasks a second of a cold interpreter each, as many at a time as there are cores."""
    started = time.perf_counter()
    width = os.cpu_count() or 1
    running: list[subprocess.Popen[bytes]] = []
    for _ in range(count):
        if len(running) == width:
            running.pop(0).wait()
        running.append(subprocess.Popen([sys.executable, "-c", "1 + 1"]))
    for process in running:
        process.wait()
    return count / (time.perf_counter() - started)


def write_plan(folder: Path, shards: int, number: int) -> Path:
    """A plan of one subtask over `shards` items, one per shard; work of another number was never done before."""
    path = folder / f"plan-{number}.yaml"
    path.write_text(
        "goal: dispatch\nsubtasks:\n  - id: tick\n"
        f"    work: {{kind: python, code: 'result = item + 1  # {number}'}}\n"
        f"    foreach: {{items: {list(range(shards))}, shard_size: 1}}\n"
    )
    return path


async def measure(grid: Grid, plan: Path, shards: int) -> float:
    """Shards a second of one run, from its submission to its end."""
    planned = await grid.plan(None, plan, [])
    started = time.perf_counter()
    record = await grid.run(planned, RunOptions(), QuietWatcher())
    seconds = time.perf_counter() - started
    if record.state is not RunState.SUCCEEDED:
        raise SystemExit(f"the run {record.state}: {record.reason}")
    return shards / seconds


async def grid_rates(shards: int, workers: int, rounds: int) -> tuple[list[float], list[float]]:
    """Of work that is new, and of the last work done again, which is reused."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(home=Path(folder) / "home")
        async with open_grid(settings, workers=workers) as grid:
            plans = [write_plan(Path(folder), shards, number) for number in range(rounds)]
            await measure(grid, write_plan(Path(folder), 50, rounds), 50)
            new = [await measure(grid, plan, shards) for plan in plans]
            return new, [await measure(grid, plans[-1], shards) for _ in range(rounds)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shards", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print_environment("sqlalchemy", "msgspec", "websockets")
    forks = [fork_rate(options.shards, modules=()) for _ in range(options.rounds)]
    print(f"bare fork loop:      {spread(forks, 'tasks/s')}")
    cold = [python_loop(100)]
    print(f"python -c per task:  {spread(cold, 'tasks/s')}")
    rates, again = asyncio.run(grid_rates(options.shards, options.workers, options.rounds))
    print(f"nadg, {options.workers} workers:     {spread(rates, 'shards/s')}")
    print(f"the same work again: {spread(again, 'shards/s')}")
    best = sorted(rates)[len(rates) // 2]
    print(f"ratio to the bare fork loop: {best / sorted(forks)[len(forks) // 2]:.2f}")
    print(f"ratio to python -c:          {best / cold[0]:.1f}")


if __name__ == "__main__":
    main()
