"""Does a shard of a large run on many workers cost the master what one of a small run on few does?

Simulated workers of one slot (the real link protocol; attempts that wait), the real loop, grid engine and
SQLite file. Shards take so long that both grids end the same number a second. The ideal makespan is that
of workers that never wait.

    python benchmarks/scale.py [--rate 400]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec
from environment import print_environment
from simulated_worker import simulated_workers

from nadg.bootstrap.grid import Grid, open_grid
from nadg.bootstrap.quiet import QuietWatcher
from nadg.domain.run import RunOptions
from nadg.domain.states import RunState
from nadg.settings import Settings

SIZES = ((100, 20_000), (500, 100_000))
"""Workers and shards, small and large."""


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """One run on one grid, in a process of its own."""

    workers: int
    shards: int
    seconds: float
    ideal_seconds: float
    cpu_milliseconds: float
    """Of the master's process for each shard, between submission and end."""
    most_megabytes: float
    """Resident at most."""


def write_plan(folder: Path, shards: int) -> Path:
    path = folder / "plan.json"
    each = {"items": list(range(shards)), "shard_size": 1}
    work = {"kind": "python", "code": "result = item"}
    path.write_text(json.dumps({"goal": "scale", "subtasks": [{"id": "wait", "work": work, "foreach": each}]}))
    return path


async def measure(grid: Grid, plan: Path, workers: int, shards: int, seconds: float) -> Measured:
    planned = await grid.plan(None, plan, [])
    await grid.run(await grid.plan(None, write_plan(plan.parent, workers), []), options(), QuietWatcher())
    cpu, started = time.process_time(), time.perf_counter()
    record = await grid.run(planned, options(), QuietWatcher())
    took, cpu = time.perf_counter() - started, time.process_time() - cpu
    if record.state is not RunState.SUCCEEDED:
        raise SystemExit(f"the run {record.state}: {record.reason}")
    return Measured(
        workers=workers,
        shards=shards,
        seconds=took,
        ideal_seconds=shards * seconds / workers,
        cpu_milliseconds=cpu / shards * 1000,
        most_megabytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    )


def options() -> RunOptions:
    return RunOptions(use_cache=False)


async def one_size(workers: int, shards: int, rate: float) -> Measured:
    seconds = workers / rate
    with tempfile.TemporaryDirectory() as name, simulated_workers(workers, slots=1, seconds=seconds) as urls:
        folder = Path(name)
        async with open_grid(Settings(home=folder / "home", worker_urls=tuple(urls)), workers=0) as grid:
            return await measure(grid, write_plan(folder, shards), workers, shards, seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=400.0, help="shards a second that the workers could end")
    parser.add_argument("--one", help="WORKERS,SHARDS: measure this alone, print JSON")
    asked = parser.parse_args()
    if asked.one:
        workers, shards = map(int, asked.one.split(","))
        print(msgspec.json.encode(asyncio.run(one_size(workers, shards, asked.rate))).decode())
        return
    print_environment("msgspec", "websockets", "sqlalchemy")
    found = [in_own_process(workers, shards, asked.rate) for workers, shards in SIZES]
    for one in found:
        print(
            f"{one.workers:4} workers, {one.shards:7,} shards: {one.cpu_milliseconds:.3f} ms of CPU a shard, "
            f"{one.most_megabytes:.0f} MB at most, {one.seconds:.1f} s, "
            f"{one.seconds / one.ideal_seconds:.2f}x ideal (goal 1.10)"
        )
    small, large = found
    print(
        f"CPU a shard, large to small: {large.cpu_milliseconds / small.cpu_milliseconds:.2f} (goal 0.80 to 1.20)"
    )


def in_own_process(workers: int, shards: int, rate: float) -> Measured:
    """So that memory and CPU are this size's alone."""
    argv = [sys.executable, __file__, "--rate", str(rate), "--one", f"{workers},{shards}"]
    done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, check=True)
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=Measured)


if __name__ == "__main__":
    main()
