"""One trial: a grid of real processes carries out a run while everything is killed, paused and cut."""

from __future__ import annotations

import asyncio
import functools
import json
import secrets
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from nadg.domain.clock import SystemClock
from nadg.domain.run import NewRun, RunOptions, RunRecord
from nadg.domain.states import is_final
from nadg.link.blobfolder import BlobFolder
from nadg.store import SqlStore, StoredEvent, open_store
from tests.chaos.acts import Chaos, Say, Victims
from tests.chaos.plan import create_plan, expected_result
from tests.chaos.processes import Member, environment, left_over
from tests.chaos.verdict import faults
from tests.support.faulty_proxy import FaultyProxy
from tests.support.postgres import Server, free_port, started_server

CLOCK = SystemClock()
LEASE_SECONDS = 4.0
SUBMITTER = "the trial"


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What is tried, and for how long at most."""

    seed: int
    database: str
    """`postgresql` or `sqlite`."""
    shards: int = 1000
    masters: int = 2
    workers: int = 4
    chaos_seconds: float = 120.0
    end_seconds: float = 120.0
    """How long the run may go on after everything was left alone."""


@dataclass(kw_only=True)
class Report:
    """What came of it. `faults` is empty where all held."""

    faults: list[str] = field(default_factory=list)
    acts: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    terms: int = 0
    attempts: int = 0


async def carry_out(trial: Trial, say: Say) -> Report:
    """The whole trial, everything it started gone again."""
    report, mark = Report(), secrets.token_hex(8)
    async with AsyncExitStack() as stack:
        folder = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="nadg-chaos-", ignore_cleanup_errors=True))
        )
        victims, store = await stack.enter_async_context(_grid(trial, folder, mark))
        run_id = await _submit(store, trial)
        started = time.monotonic()
        chaos = Chaos(victims, trial.seed, say)
        record = await _under(chaos, store, run_id, trial, say)
        report.seconds, report.acts = time.monotonic() - started, chaos.done
        await _judge(report, store, record, trial, BlobFolder(folder / "home" / "blobs"))
        if report.faults:
            for member in (*victims.masters, *victims.workers):
                say(f"-- {member.name}, started {member.starts} times, last said:\n{member.last_words()}")
    report.faults += [f"left behind: {process}" for process in left_over(mark)]
    return report


async def _under(chaos: Chaos, store: SqlStore, run_id: str, trial: Trial, say: Say) -> RunRecord:
    """The run to its end: under chaos first, then left alone."""
    acting = asyncio.create_task(chaos.go_on(trial.chaos_seconds))
    deadline = time.monotonic() + trial.chaos_seconds + trial.end_seconds
    told = time.monotonic()
    try:
        while time.monotonic() < deadline:
            summary = next(one for one in await store.runs.list() if one.id == run_id)
            if is_final(summary.state):
                break
            if time.monotonic() - told > 10:
                told = time.monotonic()
                say(await _progress(store, run_id))
            await asyncio.sleep(0.5)
    finally:
        acting.cancel()
        await asyncio.wait([acting])
        if not acting.cancelled() and (error := acting.exception()):
            raise error
    return await store.runs.get(run_id)


async def _progress(store: SqlStore, run_id: str) -> str:
    record = await store.runs.get(run_id)
    shards = [shard for subtask in record.subtasks for shard in subtask.shards]
    done = sum(is_final(shard.state) for shard in shards)
    attempts = sum(len(shard.attempts) for shard in shards)
    return f"... {done} of {len(shards)} shards known so far are done, in {attempts} attempts"


async def _submit(store: SqlStore, trial: Trial) -> str:
    """A run that no master holds yet: whichever sees it first takes it."""
    options = RunOptions(max_retries=10 * trial.shards)
    run_id = f"chaos{secrets.token_hex(4)}"
    new = NewRun(id=run_id, command="chaos", planner="file", plan=create_plan(trial.shards), options=options)
    await store.runs.release(await store.runs.create(new, SUBMITTER))
    return run_id


async def _judge(report: Report, store: SqlStore, record: RunRecord, trial: Trial, blobs: BlobFolder) -> None:
    events: list[StoredEvent] = []
    while more := await store.runs.events_after(record.id, len(events)):
        events += more
    report.faults += faults(record, events)
    report.terms = len({event.term for event in events})
    report.attempts = sum(len(shard.attempts) for one in record.subtasks for shard in one.shards)
    result = record.subtasks[-1].result
    if result is None:
        report.faults.append("the run has no answer")
        return
    data = result.inline if result.inline is not None else blobs.read(result.blob.sha256) if result.blob else b""
    if json.loads(data) != expected_result(trial.shards):
        report.faults.append(f"the answer is another than the undisturbed run's: {data[:200]!r}")


@asynccontextmanager
async def _grid(trial: Trial, folder: Path, mark: str) -> AsyncIterator[tuple[Victims, SqlStore]]:
    async with AsyncExitStack() as stack:
        home = folder / "home"
        home.mkdir()
        server = wire = None
        name = ""
        direct = through = f"sqlite:///{home / 'nadg.db'}"
        if trial.database == "postgresql":
            server = stack.enter_context(started_server())
            name = stack.enter_context(server.database())
            wire = await stack.enter_async_context(FaultyProxy(server.port).open())
            direct, through = server.url(name), server.url(name, port=wire.port)
        store = await stack.enter_async_context(open_store(direct, CLOCK, patience_seconds=None))
        settings = environment(
            home,
            mark,
            NADG_DATABASE_URL=through,
            NADG_WORKER_TOKEN=secrets.token_urlsafe(24),
            NADG_LEASE_SECONDS=str(LEASE_SECONDS),
            NADG_GRACE_SECONDS="5",
            NADG_NO_WORKER_SECONDS="60",
            NADG_MASTER_PORT="0",
        )
        workers: list[Member] = []
        links: list[FaultyProxy] = []
        for number in range(1, trial.workers + 1):
            port = free_port()
            arguments = ["worker", "--port", str(port), "--slots", "2", "--name", f"worker-{number}"]
            workers.append(Member(f"worker-{number}", arguments, settings, folder / f"worker-{number}.log"))
            links.append(await stack.enter_async_context(FaultyProxy(port).open()))
            await store.workers.add(links[-1].url, f"worker-{number}")
        masters = [
            Member(f"master-{number}", ["up", "--workers", "0"], settings, folder / f"master-{number}.log")
            for number in range(1, trial.masters + 1)
        ]
        stack.push_async_callback(_stop, [*masters, *workers])
        for member in (*workers, *masters):
            member.start()
        yield (
            Victims(
                masters=masters,
                workers=workers,
                links=links,
                wire=wire,
                server=server,
                database=name,
                lease_seconds=LEASE_SECONDS,
                owner=functools.partial(_owner, server, name),
            ),
            store,
        )


def _owner(server: Server | None, database: str) -> int:
    """Owners are named HOST-PROCESS-RANDOM."""
    if server is None:
        return 0
    try:
        with psycopg.connect(server.url(database), connect_timeout=1) as connection:
            row = connection.execute("SELECT lease_owner FROM nadg.runs").fetchone()
    except psycopg.OperationalError:
        return 0
    return int(row[0].rsplit("-", 2)[1]) if row and row[0] else 0


async def _stop(members: list[Member]) -> None:
    await asyncio.gather(*(asyncio.to_thread(member.stop) for member in members))
