"""Workers that send wrong bytes, live in another year, or have no room left on their disk."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import errno
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from nadg.domain.assignment import Assignment, Code, Whole
from nadg.domain.blob import BlobRef, FileRef, Value
from nadg.domain.clock import SystemClock
from nadg.domain.events import AttemptFinished, AttemptLost, AttemptStarted
from nadg.domain.limits import Limits
from nadg.domain.outcome import Outcome, Receipt
from nadg.domain.tier import Tier
from nadg.engines import keeper
from nadg.engines.grid import GridEngine, GridSettings
from nadg.link.blobfolder import BlobFile, BlobFolder
from nadg.link.frames import Ack, Assign, BlobAbsent, BlobData, BlobWant, Finished, Frame, Started
from tests.support.scripted_worker import ScriptedWorker
from tests.support.sink import Sink
from tests.support.worker_process import has_small_disks

CLAIMED = b"what it says it made"
NOW = datetime.datetime.now(datetime.UTC)


@contextlib.asynccontextmanager
async def open_grid(folder: Path, *workers: Any) -> AsyncIterator[GridEngine]:
    settings = GridSettings(grace_seconds=1)
    async with GridEngine(BlobFolder(folder / "master"), SystemClock(), settings=settings) as engine:
        for worker in workers:
            engine.add_worker(worker.url, worker.token)
        await engine.wait_ready(len(workers), 30)
        yield engine


async def submit(engine: GridEngine, sink: Sink, attempt_id: str, code: str = "result = 1", **given: Any) -> None:
    await engine.submit(Assignment(attempt_id=attempt_id, job=Code(code=code), piece=Whole(), **given), sink)


def outcome(started: datetime.datetime, finished: datetime.datetime, result: Value | None = None) -> Outcome:
    receipt = Receipt(
        worker="scripted",
        sandbox_tier=Tier.LANDLOCK,
        code_sha256="",
        input_sha256s={},
        started_at=started,
        finished_at=finished,
        exit_code=0,
    )
    return Outcome(kind="succeeded", receipt=receipt, result=result or Value(inline=b"1"))


def claims(frame: Assign, end: Outcome, at: datetime.datetime = NOW) -> list[Frame]:
    attempt_id = frame.assignment.attempt_id
    return [Started(attempt_id=attempt_id, at=at), Finished(attempt_id=attempt_id, outcome=end)]


@pytest.mark.parametrize(
    ("lie", "why"),
    [("other bytes", "hash to"), ("fewer bytes", "is not understood: refused"), ("nothing", "it is gone")],
)
def test_a_result_that_is_not_what_its_hash_says_is_refused_and_the_work_goes_elsewhere(
    tmp_path: Path, shared_worker: Any, lie: str, why: str
) -> None:
    claimed = BlobRef(sha256=hashlib.sha256(CLAIMED).hexdigest(), size=len(CLAIMED))

    def behave(frame: Frame) -> list[Frame]:
        match frame:
            case Assign():
                return claims(frame, outcome(NOW, NOW, Value(blob=claimed)))
            case BlobWant(sha256=sha256, offset=offset, length=length):
                if lie == "nothing":
                    return [BlobAbsent(sha256=sha256, reason="it is gone")]
                data = b"x" * (length if lie == "other bytes" else length - 1)
                return [BlobData(sha256=sha256, offset=offset, data=data)]
            case _:
                return []

    async def body() -> None:
        sink, liar = Sink(), ScriptedWorker(behave)
        async with liar.open(), open_grid(tmp_path, liar) as engine:
            await submit(engine, sink, "r/s/0/1")
            await sink.until(lambda: bool(sink.ends()))
            lost = sink.ends()["r/s/0/1"]
            assert isinstance(lost, AttemptLost)
            assert lost.worker == "scripted"
            assert why in lost.reason
            assert not BlobFolder(tmp_path / "master").has(claimed.sha256)
            engine.add_worker(shared_worker.url, shared_worker.token)
            async with asyncio.timeout(30):
                await engine.wait_until(lambda: engine.workers()[1].state == "ready")
            await submit(engine, sink, "r/s/0/2", avoid_workers=("scripted",))
            await sink.until(lambda: len(sink.ends()) == 2)
            end = sink.ends()["r/s/0/2"]
            assert isinstance(end, AttemptFinished)
            assert end.outcome.receipt.worker == "shared"

    asyncio.run(body())


@pytest.mark.parametrize(("started", "finished"), [(1971, 1971), (2999, 2999), (2999, 1971), (1971, 2999)])
def test_a_worker_that_lives_in_another_year_works_like_any_other(
    tmp_path: Path, started: int, finished: int
) -> None:
    begin, end = (datetime.datetime(year, 6, 1, tzinfo=datetime.UTC) for year in (started, finished))

    def behave(frame: Frame) -> list[Frame]:
        return claims(frame, outcome(begin, end), begin) if isinstance(frame, Assign) else []

    async def body() -> None:
        sink, worker = Sink(), ScriptedWorker(behave)
        async with worker.open(), open_grid(tmp_path, worker) as engine:
            for index in range(20):
                await submit(engine, sink, f"r/s/{index}/1")
            await sink.until(lambda: len(sink.ends()) == 20)
            assert all(isinstance(one, AttemptFinished) for one in sink.ends().values())
            assert sum(isinstance(event, AttemptStarted) for event in sink.events) == 20
            assert engine.workers()[0].in_flight == 0
            engine.acknowledge(sink.ends())
            await submit(engine, sink, "r/s/20/1")
            await sink.until(lambda: len(sink.ends()) == 21)
            acked = {one for frame in worker.heard if isinstance(frame, Ack) for one in frame.attempt_ids}
            assert len(acked) == 20

    asyncio.run(body())


def test_a_worker_whose_disk_is_full_says_so_and_takes_what_fits(tmp_path: Path, start_worker: Any) -> None:
    if not has_small_disks():
        pytest.skip("only root may give a worker a small disk")
    worker = start_worker("full", disk_megabytes=16)
    limits = Limits(artifact_bytes=8 << 20)

    async def body() -> None:
        sink = Sink()
        async with open_grid(tmp_path, worker) as engine:

            async def ended(attempt_id: str, code: str, input_megabytes: int = 0) -> Outcome:
                blob = BlobFolder(tmp_path / "master").put(bytes(input_megabytes << 20))
                files = (FileRef(name="big", blob=blob),) if input_megabytes else ()
                await submit(engine, sink, attempt_id, code, inputs=files, limits=limits)
                await sink.until(lambda: attempt_id in sink.ends())
                end = sink.ends()[attempt_id]
                assert isinstance(end, AttemptFinished), end
                engine.acknowledge([attempt_id])
                return end.outcome

            too_big = await ended("r/input/0/1", "result = 1", input_megabytes=20)
            assert (too_big.kind, "No space left on device" in too_big.reason) == ("crashed", True)
            assert (await ended("r/small/0/1", "result = 1", input_megabytes=12)).kind == "succeeded"
            writes = await ended("r/output/0/1", "open('made', 'wb').write(bytes(6 << 20)); result = 1")
            assert (writes.kind, writes.reason) == ("crashed", "the worker's disk is full")
            assert (await ended("r/small/1/1", "open('made', 'wb').write(b'1'); result = 1")).kind == "succeeded"

    asyncio.run(body())


class FullAtFirst(BlobFolder):
    """A master's folder on a disk that has room only from the third try on."""

    tries = 0

    def create(self) -> BlobFile:
        self.tries += 1
        if self.tries < 3:
            raise OSError(errno.ENOSPC, "No space left on device", "blobs")
        return super().create()


def test_a_master_whose_disk_is_full_waits_and_has_nothing_done_again(
    tmp_path: Path, start_worker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "FULL_DISK_SECONDS", 0.01)
    worker = start_worker("w")

    async def body() -> None:
        sink, folder = Sink(), FullAtFirst(tmp_path / "master")
        async with GridEngine(folder, SystemClock()) as engine:
            engine.add_worker(worker.url, worker.token)
            await engine.wait_ready(1, 30)
            await submit(engine, sink, "r/a/0/1", "open('made', 'w').write('1'); result = 1")
            await sink.until(lambda: "r/a/0/1" in sink.ends())
            end = sink.ends()["r/a/0/1"]
            assert isinstance(end, AttemptFinished), end
            assert folder.has(end.outcome.artifacts[0].blob.sha256)
        assert folder.tries == 3

    asyncio.run(body())
