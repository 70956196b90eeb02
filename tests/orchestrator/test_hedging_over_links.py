"""A worker that never ends what it begins does not hold up a run, and is left with nothing of it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from simulated_worker import SimulatedWorker, serve_workers

from nadg.domain.plan import Foreach, Plan, Subtask
from nadg.domain.run import NewRun
from nadg.domain.states import AttemptState, RunState
from nadg.engines.grid import GridEngine
from nadg.link.blobfolder import BlobFolder
from nadg.link.frames import Cancel, Frame
from nadg.orchestrator import hedge_watch, hedging
from nadg.orchestrator.hedge_moves import QUICKER
from nadg.orchestrator.loop import RunLoop
from nadg.store import open_store
from tests.orchestrator.test_loop import CLOCK, PYTHON, Seen

NEVER = 3600.0


class Reluctant(SimulatedWorker):
    """Takes its time to end what is cancelled, as one does that has to stop a process: the run is over by then."""

    def _take(self, frame: Frame) -> None:
        if isinstance(frame, Cancel):
            asyncio.get_running_loop().call_later(0.2, super()._take, frame)
        else:
            super()._take(frame)


@pytest.mark.parametrize("order", ["the slow one first", "the slow one last"])
def test_a_stuck_worker_is_outrun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, order: str) -> None:
    monkeypatch.setattr(hedge_watch, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(hedging, "MIN_BOUND_SECONDS", 0.1)
    paces = [NEVER, 0.0, 0.0] if order == "the slow one first" else [0.0, 0.0, NEVER]

    async def body() -> None:
        blobs = BlobFolder(tmp_path / "blobs")
        workers = [Reluctant(f"w{n}", blobs, slots=1, seconds=pace) for n, pace in enumerate(paces)]
        plan = Plan(subtasks=(Subtask(id="a", work=PYTHON, foreach=Foreach(items=list(range(8)), shard_size=1)),))
        async with (
            await serve_workers(workers) as server,
            open_store(tmp_path / "nadg.db", CLOCK) as store,
            GridEngine(blobs, CLOCK) as engine,
        ):
            port = next(iter(server.sockets)).getsockname()[1]
            for number in range(len(workers)):
                engine.add_worker(f"http://127.0.0.1:{port}/{number}", "token")
            await engine.wait_ready(len(workers), 10)
            new = NewRun(id="run1", command="c", planner="file", plan=plan)
            lease = await store.runs.create(new, "me")
            loop = RunLoop(
                new, lease, store=store.runs, engine=engine, blobs=blobs, clock=CLOCK, skills={}, watcher=Seen()
            )
            await loop.run()
            async with asyncio.timeout(5):
                for worker in workers:
                    await worker.wait_empty()
            record = await store.runs.get("run1")
        assert record.state is RunState.SUCCEEDED
        attempts = [attempt for shard in record.subtasks[0].shards for attempt in shard.attempts]
        outrun = {
            (one.state, one.reason, one.worker) for one in attempts if one.state is not AttemptState.SUCCEEDED
        }
        assert outrun == {(AttemptState.CANCELLED, QUICKER, f"w{paces.index(NEVER)}")}

    asyncio.run(body())
