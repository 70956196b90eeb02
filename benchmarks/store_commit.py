"""How many changes a second does the store commit, and how far is that from bare SQLite?

A change is its row's update and its event. Three ways, in the same run and on the same disk:
grouped (many callers, small commits each), one small commit after another, and the same rows through
`sqlite3.executemany` with nothing checked. Run it: `python benchmarks/store_commit.py [--shards N]`.
"""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
import statistics
import tempfile
import time
from contextlib import closing
from pathlib import Path

from environment import percentile, print_environment, spread

from nadg.domain.assignment import Items
from nadg.domain.blob import Value
from nadg.domain.changes import AttemptAdded, AttemptChanged, RunChanged, ShardChanged, ShardsAdded, SubtaskChanged
from nadg.domain.clock import SystemClock
from nadg.domain.outcome import Outcome, Receipt
from nadg.domain.plan import Plan, PythonWork, Subtask
from nadg.domain.run import Lease, NewRun
from nadg.domain.states import AttemptState, RunState, ShardState, SubtaskState
from nadg.domain.tier import Tier
from nadg.store import SqlStore, open_store

CHANGES_PER_SHARD = 5
SINGLE_COMMITS = 500
SHARD = "run_id, subtask_id, shard_index, piece"
ATTEMPT = "id, run_id, subtask_id, shard_index, number, created_at"
END = "worker, started_at, finished_at, outcome, environment"
"""What an attempt's row is given when it begins, and when it is over."""
EVENT = "run_id, seq, at, kind, payload, term"


def outcome() -> Outcome:
    now = SystemClock().now()
    receipt = Receipt(
        worker="w1",
        sandbox_tier=Tier.LANDLOCK,
        code_sha256="0" * 64,
        input_sha256s={"a": "1" * 64},
        started_at=now,
        finished_at=now,
        exit_code=0,
        cpu_seconds=0.01,
        max_rss_bytes=10 << 20,
    )
    return Outcome(kind="succeeded", receipt=receipt, result=Value(inline=b"[1, 2, 3]"))


async def begin(store: SqlStore, run_id: str, shards: int) -> tuple[Lease, float]:
    """A run with that many queued shards; and how long adding them took."""
    plan = Plan(subtasks=(Subtask(id="a", work=PythonWork(kind="python", code="result = item")),))
    lease = await store.runs.create(NewRun(id=run_id, command="bench", planner="file", plan=plan), "bench")
    await store.runs.commit(lease, [RunChanged(state=RunState.RUNNING)])
    await store.runs.commit(lease, [SubtaskChanged(subtask_id="a", state=SubtaskState.PREPARING)])
    pieces = tuple(Items(first=one, count=1, values=Value(inline=b"[%d]" % one)) for one in range(shards))
    started = time.perf_counter()
    await store.runs.commit(lease, [ShardsAdded(subtask_id="a", first=0, pieces=pieces)])
    return lease, time.perf_counter() - started


async def try_shard(store: SqlStore, lease: Lease, index: int, end: Outcome) -> None:
    """What a master writes for one shard that succeeds at once: five changes in three commits."""
    name = f"{lease.run_id}/a/{index}/1"
    await store.runs.commit(
        lease,
        [
            AttemptAdded(attempt_id=name, subtask_id="a", index=index, number=1),
            ShardChanged(subtask_id="a", index=index, state=ShardState.RUNNING),
        ],
    )
    await store.runs.commit(lease, [AttemptChanged(attempt_id=name, state=AttemptState.RUNNING, worker="w1")])
    await store.runs.commit(
        lease,
        [
            AttemptChanged(attempt_id=name, state=AttemptState.SUCCEEDED, outcome=end),
            ShardChanged(subtask_id="a", index=index, state=ShardState.SUCCEEDED),
        ],
    )


async def grouped(store: SqlStore, run_id: str, shards: int) -> float:
    lease, _ = await begin(store, run_id, shards)
    end = outcome()
    started = time.perf_counter()
    await asyncio.gather(*(try_shard(store, lease, index, end) for index in range(shards)))
    return shards * CHANGES_PER_SHARD / (time.perf_counter() - started)


async def one_by_one(store: SqlStore) -> list[float]:
    lease, _ = await begin(store, "single", SINGLE_COMMITS)
    seconds = []
    for index in range(SINGLE_COMMITS):
        started = time.perf_counter()
        await store.runs.commit(lease, [ShardChanged(subtask_id="a", index=index, state=ShardState.RUNNING)])
        seconds.append(time.perf_counter() - started)
    return sorted(seconds)


def copied_by_hand(database: Path, copy: Path) -> float:
    """The rows and events of the first grouped run, by `executemany`, one transaction per thousand shards."""
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(copy)) as target:
        target.execute("PRAGMA journal_mode=WAL")
        target.execute("PRAGMA synchronous=NORMAL")
        for (sql,) in source.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND type <> 'view'"):
            target.execute(sql)
        where = "WHERE run_id = 'grouped0'"
        events = source.execute(f"SELECT {EVENT} FROM events {where} AND kind <> 'shards'").fetchall()
        attempts = source.execute(f"SELECT {ATTEMPT}, {END} FROM attempts {where}").fetchall()
        shards = source.execute(f"SELECT {SHARD} FROM shards {where}").fetchall()
        target.executemany(f"INSERT INTO shards ({SHARD}, state) VALUES (?, ?, ?, ?, 'queued')", shards)
        target.commit()
        move = "UPDATE shards SET state = ? WHERE run_id = ? AND subtask_id = ? AND shard_index = ?"
        add = f"INSERT INTO attempts ({ATTEMPT}, state) VALUES (?, ?, ?, ?, ?, ?, 'queued')"
        begin = "UPDATE attempts SET state = 'running', worker = ?, started_at = ? WHERE id = ?"
        end = "UPDATE attempts SET state = 'succeeded', finished_at = ?, outcome = ?, environment = ? WHERE id = ?"
        started = time.perf_counter()
        for first in range(0, len(attempts), 1000):
            group = attempts[first : first + 1000]
            keys = [one[1:4] for one in group]
            target.executemany(add, [one[:6] for one in group])
            target.executemany(move, [("running", *key) for key in keys])
            target.executemany(begin, [(*one[6:8], one[0]) for one in group])
            target.executemany(end, [(*one[8:], one[0]) for one in group])
            target.executemany(move, [("succeeded", *key) for key in keys])
            lines = events[first * CHANGES_PER_SHARD : (first + 1000) * CHANGES_PER_SHARD]
            target.executemany(f"INSERT INTO events ({EVENT}) VALUES (?, ?, ?, ?, ?, ?)", lines)
            target.commit()
        return len(attempts) * CHANGES_PER_SHARD / (time.perf_counter() - started)


async def measure(database: Path, shards: int, rounds: int) -> None:
    started = time.perf_counter()
    async with open_store(database, SystemClock()):
        new = time.perf_counter() - started
    started = time.perf_counter()
    async with open_store(database, SystemClock()) as store:
        print(f"opening a new database    {new * 1000:9.1f} ms")
        print(f"opening one that is there {(time.perf_counter() - started) * 1000:9.1f} ms")
        _, adding = await begin(store, "adding", 10_000)
        print(f"adding 10,000 shards      {adding * 1000:9.1f} ms in one change")
        rates = [await grouped(store, f"grouped{number}", shards) for number in range(rounds)]
        latencies = await one_by_one(store)
    bare = [copied_by_hand(database, database.with_name(f"copy{number}.db")) for number in range(rounds)]
    print(f"grouped                   {spread([one / 1000 for one in rates], 'thousand changes/s')}")
    print(f"bare sqlite3 executemany  {spread([one / 1000 for one in bare], 'thousand changes/s')}")
    print(f"grouped / bare            {statistics.median(rates) / statistics.median(bare):.2f}")
    half, most = (percentile(latencies, share) * 1000 for share in (0.5, 0.99))
    print(f"one small commit          p50 {half:.2f} ms, p99 {most:.2f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    print_environment("sqlalchemy", "msgspec")
    print(f"SQLite {sqlite3.sqlite_version}, write-ahead log, synchronous=NORMAL")
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(Path(folder) / "nadg.db", arguments.shards, arguments.rounds))


if __name__ == "__main__":
    main()
