"""A master is killed with -9; another takes over what its worker was doing, and nothing runs twice."""

from __future__ import annotations

import asyncio
import datetime
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import msgspec
import psutil

from nadg.domain.assignment import Assignment, Code, Whole
from nadg.domain.clock import SystemClock
from nadg.domain.events import AttemptFinished, AttemptLost, AttemptStarted
from nadg.engines.grid import GridEngine, GridSettings
from nadg.engines.local import Launch
from nadg.link.blobfolder import BlobFolder
from tests.engines.master_script import Told
from tests.support.sink import Sink

ENDED = [f"r/ended/{index}/1" for index in range(6)]
RUNNING = [f"r/runs/{index}/1" for index in range(2)]
WAITING = "r/waits/0/1"
LONG = "import time; print('on', flush=True); time.sleep(1.5); result = 7"


class KilledMaster:
    """A master process of its own; `url` is its worker's."""

    def __init__(self, folder: Path, launch: Launch, assignments: list[Assignment]) -> None:
        told = Told(
            folder=str(folder),
            worker=launch.settings,
            token=launch.token,
            log=str(launch.log),
            assignments=assignments,
        )
        argv = [sys.executable, "-m", "tests.engines.master_script", msgspec.json.encode(told).decode()]
        self._process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.url, worker_id = self._process.stdout.readline().split()
        self.worker = psutil.Process(int(worker_id))
        self.heard: list[str] = []

    def kill_after(self, *lines: str) -> None:
        """Kill it once it has said all of these."""
        assert self._process.stdout is not None
        while not set(lines) <= set(self.heard):
            self.heard.append(self._process.stdout.readline().strip())
        self._process.kill()
        self._process.communicate()


def assignment(attempt_id: str, term: int = 1) -> Assignment:
    code = "result = 1" if attempt_id in ENDED else LONG
    return Assignment(attempt_id=attempt_id, job=Code(code=code), piece=Whole(), term=term)


def totals(url: str, token: str) -> dict[str, int]:
    return dict(httpx.get(url + "/status", headers={"X-NADG-AUTH": token}).json()["totals"])


def test_what_had_ended_arrives_what_runs_goes_on_and_what_waits_goes_elsewhere(
    tmp_path: Path, launch: Callable[..., Launch], shared_worker: Any
) -> None:
    given = launch("orphan", grace_seconds=30)
    submitted = [assignment(attempt_id) for attempt_id in (*ENDED, *RUNNING, WAITING)]
    master = KilledMaster(tmp_path / "first", given, submitted)
    family = [master.worker, *master.worker.children(recursive=True)]
    ended = [f"AttemptFinished {attempt_id}" for attempt_id in ENDED]
    master.kill_after(*ended, *(f"AttemptStarted {attempt_id}" for attempt_id in RUNNING))
    killed_at = datetime.datetime.now(datetime.UTC)

    async def body() -> None:
        sink = Sink()
        async with GridEngine(BlobFolder(tmp_path / "second"), SystemClock()) as engine:
            engine.add_worker(master.url, given.token)
            engine.add_worker(shared_worker.url, shared_worker.token)
            for attempt_id in (*ENDED, RUNNING[0]):
                await engine.adopt(assignment(attempt_id, term=2), sink, "orphan")
            for attempt_id in (RUNNING[1], WAITING):  # of one the start was not noted any more
                await engine.adopt(assignment(attempt_id, term=2), sink, "")
            await sink.until(lambda: len(sink.ends()) == 9)
            ends = sink.ends()
            for attempt_id, end in ends.items():
                assert isinstance(end, AttemptFinished), end
                receipt = end.outcome.receipt
                assert end.outcome.kind == "succeeded"
                assert (receipt.worker, receipt.started_at < killed_at) == (
                    ("shared", False) if attempt_id == WAITING else ("orphan", True)
                )
            starts = {event.attempt_id for event in sink.events if isinstance(event, AttemptStarted)}
            assert starts == {RUNNING[1], WAITING}
            counted = await asyncio.to_thread(totals, master.url, given.token)
            assert counted == {"succeeded": 8, "failed": 0, "cancelled": 0}
            engine.acknowledge(ends)
            _, left = await asyncio.to_thread(psutil.wait_procs, family, 20)
            assert left == []

    asyncio.run(body())
    assert not (tmp_path / "orphan").exists()


def test_what_died_with_the_worker_is_lost_where_it_had_begun(
    tmp_path: Path, launch: Callable[..., Launch], shared_worker: Any
) -> None:
    given = launch("orphan")
    master = KilledMaster(tmp_path / "first", given, [assignment(one) for one in (*RUNNING, WAITING)])
    master.kill_after(*(f"AttemptStarted {attempt_id}" for attempt_id in RUNNING))
    master.worker.kill()

    async def body() -> None:
        sink = Sink()
        settings = GridSettings(grace_seconds=1)
        async with GridEngine(BlobFolder(tmp_path / "second"), SystemClock(), settings=settings) as engine:
            engine.add_worker(master.url, given.token)
            engine.add_worker(shared_worker.url, shared_worker.token)
            for attempt_id in RUNNING:
                await engine.adopt(assignment(attempt_id, term=2), sink, "orphan")
            await engine.adopt(assignment(WAITING, term=2), sink, "")
            await sink.until(lambda: len(sink.ends()) == 3)
            lost = [event for event in sink.ends().values() if isinstance(event, AttemptLost)]
            assert sorted((one.attempt_id, one.worker) for one in lost) == [(one, "orphan") for one in RUNNING]
            assert isinstance(sink.ends()[WAITING], AttemptFinished)
            engine.acknowledge([WAITING])

    asyncio.run(body())


def test_a_deposed_master_that_lives_on_is_told_so_when_it_submits(tmp_path: Path, shared_worker: Any) -> None:
    async def body() -> None:
        old_sink, new_sink = Sink(), Sink()
        one = Assignment(attempt_id="contested/s/0/1", job=Code(code=LONG), piece=Whole())
        newer = msgspec.structs.replace(one, term=2)
        late = msgspec.structs.replace(one, attempt_id="contested/s/1/1")
        async with (
            GridEngine(BlobFolder(tmp_path / "old"), SystemClock()) as old,
            GridEngine(BlobFolder(tmp_path / "new"), SystemClock()) as new,
        ):
            for engine in (old, new):
                engine.add_worker(shared_worker.url, shared_worker.token)
            await old.submit(one, old_sink)
            await old_sink.until(lambda: bool(old_sink.events))
            await new.adopt(newer, new_sink, "shared")
            await new_sink.until(lambda: bool(new_sink.ends()))
            end = new_sink.ends()[one.attempt_id]
            assert isinstance(end, AttemptFinished)
            await old.submit(late, old_sink)
            await old_sink.until(lambda: bool(old_sink.ends()))
            refused = old_sink.ends()[late.attempt_id]
            assert isinstance(refused, AttemptLost)
            assert (refused.reason, refused.worker) == ("the run is another master's now", "")
            old.abandon([one.attempt_id])
            new.acknowledge([one.attempt_id])
        assert list(old_sink.ends()) == [late.attempt_id]

    asyncio.run(body())
