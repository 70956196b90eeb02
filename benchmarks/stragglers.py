"""What does one slow worker of ten cost a run, with hedging and without?

The workers are simulated: the real link protocol, and attempts that wait. The ideal is the least time in
which these workers can end so many equal shards: each works without a pause, and nobody begins in vain.

    python benchmarks/stragglers.py [--workers 10] [--shards 105] [--seconds 1] [--factor 10]
"""

from __future__ import annotations

import argparse
import asyncio
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


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """One run: how long it took, and how many shards had a second attempt."""

    seconds: float
    second_attempts: int


def least_seconds(shards: int, each: list[float]) -> float:
    """The least makespan of so many equal shards, where worker N takes `each[N]` seconds for one."""
    ends = sorted(seconds * number for seconds in each for number in range(1, shards + 1))
    return ends[shards - 1]


def write_plan(folder: Path, shards: int) -> Path:
    path = folder / "plan.yaml"
    path.write_text(
        "goal: stragglers\nsubtasks:\n  - id: wait\n    work: {kind: python, code: 'result = item'}\n"
        f"    foreach: {{items: {list(range(shards))}, shard_size: 1}}\n"
    )
    return path


async def measure(grid: Grid, plan: Path, hedge: bool) -> Measured:
    """One run, from its submission to its end."""
    planned = await grid.plan(None, plan, [])
    started = time.perf_counter()
    record = await grid.run(planned, RunOptions(hedge=hedge, use_cache=False), QuietWatcher())
    seconds = time.perf_counter() - started
    if record.state is not RunState.SUCCEEDED:
        raise SystemExit(f"the run {record.state}: {record.reason}")
    return Measured(
        seconds=seconds, second_attempts=sum(len(shard.attempts) - 1 for shard in record.subtasks[0].shards)
    )


async def measure_both(urls: list[str], shards: int) -> tuple[Measured, Measured]:
    """With hedging, and without."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(home=Path(folder) / "home", worker_urls=tuple(urls))
        async with open_grid(settings, workers=0) as grid:
            plan = write_plan(Path(folder), shards)
            return await measure(grid, plan, hedge=True), await measure(grid, plan, hedge=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=10)
    parser.add_argument("--shards", type=int, default=105)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--factor", type=float, default=10.0)
    options = parser.parse_args()
    print_environment("msgspec", "websockets")
    print(
        f"{options.workers} workers of one slot, one of them {options.factor:g}x slower; "
        f"{options.shards} shards of {options.seconds:g} s"
    )
    with simulated_workers(
        options.workers, slots=1, seconds=options.seconds, slow=1, factor=options.factor
    ) as urls:
        hedged, unhedged = asyncio.run(measure_both(urls, options.shards))
    each = [options.seconds * options.factor, *[options.seconds] * (options.workers - 1)]
    ideal = least_seconds(options.shards, each)
    print(f"ideal:            {ideal:6.2f} s")
    for name, one in (("with hedging:    ", hedged), ("without hedging: ", unhedged)):
        print(
            f"{name} {one.seconds:6.2f} s  {one.seconds / ideal:.2f}x ideal, {one.second_attempts} second attempts"
        )
    print(f"hedging saves {1 - hedged.seconds / unhedged.seconds:.0%} of the time")


if __name__ == "__main__":
    main()
