"""How long does one trivial subtask take through everything, on an idle grid?

From `grid.run` to its return: stored, dispatched, forked, isolated, run, collected, stored, read back.
Peer in the same run: `python -c` from start to exit.

    python benchmarks/latency.py [--count 100] [--workers 2]
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from environment import percentile, print_environment

from nadg.bootstrap.grid import open_grid
from nadg.bootstrap.quiet import QuietWatcher
from nadg.domain.run import RunOptions
from nadg.settings import Settings

PLAN = "subtasks:\n  - id: one\n    work: {kind: python, code: 'result = 1'}\n"


async def run_times(count: int, workers: int) -> list[float]:
    """Seconds of each of `count` runs, one after the other, after five that are not counted."""
    with tempfile.TemporaryDirectory() as folder:
        plan = Path(folder) / "plan.yaml"
        plan.write_text(PLAN)
        times: list[float] = []
        async with open_grid(Settings(home=Path(folder) / "home"), workers=workers) as grid:
            planned = await grid.plan(None, plan, [])
            for _ in range(count + 5):
                started = time.perf_counter()
                await grid.run(planned, RunOptions(), QuietWatcher())
                times.append(time.perf_counter() - started)
        return times[5:]


def cold_times(count: int) -> list[float]:
    """Seconds of a cold interpreter."""
    times: list[float] = []
    for _ in range(count):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", "1 + 1"], check=True)
        times.append(time.perf_counter() - started)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    print_environment("sqlalchemy", "msgspec", "websockets")
    ours = asyncio.run(run_times(options.count, options.workers))
    peer = cold_times(min(options.count, 30))
    for name, times in (("nadg, one subtask", ours), ("python -c", peer)):
        p50, p99 = percentile(times, 0.5) * 1000, percentile(times, 0.99) * 1000
        print(f"{name:<20} p50 {p50:7.2f} ms   p99 {p99:7.2f} ms   n={len(times)}")
    print(f"ratio of p50 to python -c: {percentile(ours, 0.5) / percentile(peer, 0.5):.2f}")


if __name__ == "__main__":
    main()
