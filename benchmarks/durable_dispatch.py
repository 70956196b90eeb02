"""What does it cost that nothing is lost: trivial shards a second on SQLite and on PostgreSQL, against memory?

The same loop, the same real workers and sandbox, and three stores in turn, round after round; the store in
memory is the peer. PostgreSQL is a real server on this machine, synchronous commits and fsync on.

    python benchmarks/durable_dispatch.py [--shards 2000] [--workers 2] [--rounds 3]
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Protocol

from environment import print_environment, spread
from memory_store import MemoryRuns

from nadg.bootstrap.grid import create_engine
from nadg.bootstrap.home import Home
from nadg.bootstrap.local import create_launches
from nadg.bootstrap.quiet import QuietWatcher
from nadg.domain.clock import SystemClock
from nadg.domain.plan import Plan
from nadg.domain.run import Lease, NewRun, RunOptions
from nadg.domain.states import RunState
from nadg.engines.grid import GridEngine
from nadg.engines.local import LocalWorkers
from nadg.link.blobfolder import BlobFolder
from nadg.orchestrator.loop import RunLoop, RunStore
from nadg.settings import Settings
from nadg.store import open_store
from tests.support.postgres import started_server

CLOCK = SystemClock()


class Creating(RunStore, Protocol):
    """A store of runs, as far as one run needs it."""

    async def create(self, new: NewRun, owner: str) -> Lease: ...


def create_plan(shards: int) -> Plan:
    work = {"kind": "python", "code": "result = item + 1"}
    each = {"items": list(range(shards)), "shard_size": 1}
    return Plan.model_validate({"subtasks": [{"id": "tick", "work": work, "foreach": each, "cache": False}]})


async def measure(runs: Creating, engine: GridEngine, blobs: BlobFolder, plan: Plan) -> float:
    """Shards a second of one run, from its submission to its end."""
    options = RunOptions(hedge=False, use_cache=False)
    new = NewRun(id=secrets.token_hex(8), command="bench", planner="file", plan=plan, options=options)
    started = time.perf_counter()
    lease = await runs.create(new, "bench")
    loop = RunLoop(
        new,
        lease,
        store=runs,
        engine=engine,
        blobs=blobs,
        clock=CLOCK,
        skills={},
        watcher=QuietWatcher(),
    )
    progress = await loop.run()
    seconds = time.perf_counter() - started
    if progress.state is not RunState.SUCCEEDED:
        raise SystemExit(f"the run {progress.state}: {progress.stop_reason}")
    return len(progress.subtasks["tick"].shards) / seconds


@asynccontextmanager
async def open_stores(folder: Path) -> AsyncIterator[dict[str, Creating]]:
    with started_server(durable=True) as server, server.database() as database:
        async with AsyncExitStack() as stack:
            sqlite = await stack.enter_async_context(open_store(folder / "nadg.db", CLOCK))
            postgres = await stack.enter_async_context(open_store(server.url(database), CLOCK))
            yield {"memory": MemoryRuns(), "SQLite": sqlite.runs, "PostgreSQL": postgres.runs}


async def rates(shards: int, workers: int, rounds: int) -> dict[str, list[float]]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = Settings(home=folder / "home")
        home, blobs = Home(settings), BlobFolder(folder / "home" / "blobs")
        engine = create_engine(settings, blobs, CLOCK)
        async with engine, LocalWorkers(engine, create_launches(settings, home, workers)):
            await engine.wait_ready(workers, 60)
            async with open_stores(folder) as stores:
                for runs in stores.values():
                    await measure(runs, engine, blobs, create_plan(50))
                plan = create_plan(shards)
                found: dict[str, list[float]] = {name: [] for name in stores}
                for _ in range(rounds):
                    for name, runs in stores.items():
                        found[name].append(await measure(runs, engine, blobs, plan))
                return found


def ratios(found: dict[str, list[float]]) -> dict[str, float]:
    """Each store's middle rate as a share of that of memory."""
    peer = statistics.median(found["memory"])
    return {name: statistics.median(values) / peer for name, values in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shards", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print_environment("sqlalchemy", "psycopg", "msgspec")
    found = asyncio.run(rates(options.shards, options.workers, options.rounds))
    for name, values in found.items():
        print(f"{name + ':':12} {spread(values, 'shards/s')}")
    for name, ratio in ratios(found).items():
        if name != "memory":
            print(f"{name} against memory: {ratio:.2f} (goal 0.70)")


if __name__ == "__main__":
    main()
