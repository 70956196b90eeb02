"""Links that go wrong without being closed are noticed, and cost what they must and no more."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx

from nadg.domain.assignment import Assignment, Code, Whole
from nadg.domain.clock import SystemClock
from nadg.domain.events import AttemptFinished, AttemptLost
from nadg.engines.grid import GridEngine, GridSettings
from nadg.link.blobfolder import BlobFolder
from nadg.link.session import MISSES, PING_SECONDS
from tests.support.faulty_proxy import FaultyProxy
from tests.support.sink import Sink

FOREVER = "import time\nprint('on', flush=True)\nwhile True: time.sleep(0.05)"
BIG_RESULT = "import random; result = [random.random() for _ in range(10_000)]"
PING = 0.1
GRACE = 0.5


@contextlib.asynccontextmanager
async def open_grid(folder: Path, url: str, token: str, ping_seconds: float = PING) -> AsyncIterator[GridEngine]:
    settings = GridSettings(grace_seconds=GRACE, ping_seconds=ping_seconds, most_backoff_seconds=0.2)
    async with GridEngine(BlobFolder(folder / "master"), SystemClock(), settings=settings) as engine:
        engine.add_worker(url, token)
        await engine.wait_ready(1, 30)
        yield engine


@contextlib.asynccontextmanager
async def proxied(worker: Any) -> AsyncIterator[FaultyProxy]:
    async with FaultyProxy(int(worker.url.rsplit(":", 1)[1])).open() as proxy:
        yield proxy


async def submit(engine: GridEngine, sink: Sink, attempt_id: str, code: str = "result = 1") -> None:
    await engine.submit(Assignment(attempt_id=attempt_id, job=Code(code=code), piece=Whole()), sink)


async def state(engine: GridEngine, *states: str) -> None:
    """Return when the only worker is in one of these."""
    async with asyncio.timeout(30):
        await engine.wait_until(lambda: engine.workers()[0].state in states)


async def stopped(worker: Any) -> None:
    """Return when nothing runs on it any more."""
    async with httpx.AsyncClient(headers={"X-NADG-AUTH": worker.token}) as client, asyncio.timeout(30):
        while (await client.get(worker.url + "/status")).json()["running"]:
            pass


def test_silence_is_noticed_within_seconds() -> None:
    assert (MISSES + 1) * PING_SECONDS <= 12


def test_a_half_open_link_is_away_then_its_attempts_are_lost_and_later_stopped(
    tmp_path: Path, shared_worker: Any
) -> None:
    async def body() -> None:
        sink = Sink()
        async with (
            proxied(shared_worker) as proxy,
            open_grid(tmp_path, proxy.url, shared_worker.token) as engine,
        ):
            await submit(engine, sink, "r/s/0/1", FOREVER)
            await sink.until(lambda: bool(sink.texts))
            proxy.stall()
            await state(engine, "away")
            assert "nothing was heard" in engine.workers()[0].reason
            await sink.until(lambda: bool(sink.ends()))
            lost = sink.ends()["r/s/0/1"]
            assert isinstance(lost, AttemptLost)
            assert (lost.worker, lost.reason[:22]) == ("shared", "worker shared was lost")
            proxy.cut()
            proxy.pass_on()
            await state(engine, "ready")
            await stopped(shared_worker)  # the master that lost it has it cancelled
            await submit(engine, sink, "r/s/0/2")
            await sink.until(lambda: len(sink.ends()) == 2)

    asyncio.run(body())


def test_a_paused_worker_is_away_and_back_when_it_goes_on(tmp_path: Path, start_worker: Any) -> None:
    worker = start_worker()

    async def body() -> None:
        sink = Sink()
        async with open_grid(tmp_path, worker.url, worker.token) as engine:
            await submit(engine, sink, "r/s/0/1", FOREVER)
            await sink.until(lambda: bool(sink.texts))
            worker.process.send_signal(signal.SIGSTOP)
            try:
                await state(engine, "away")
                await sink.until(lambda: bool(sink.ends()))
            finally:
                worker.process.send_signal(signal.SIGCONT)
            assert isinstance(sink.ends()["r/s/0/1"], AttemptLost)
            await state(engine, "ready")
            await stopped(worker)
            await submit(engine, sink, "r/s/0/2")
            await sink.until(lambda: len(sink.ends()) == 2)

    asyncio.run(body())


def test_a_slow_link_is_borne_as_long_as_anything_arrives(tmp_path: Path, shared_worker: Any) -> None:
    async def body() -> None:
        sink = Sink()
        async with (
            proxied(shared_worker) as proxy,
            open_grid(tmp_path, proxy.url, shared_worker.token, ping_seconds=1.0) as engine,
        ):
            proxy.slow(200_000)
            await submit(engine, sink, "r/s/0/1", BIG_RESULT)
            await sink.until(lambda: bool(sink.ends()))
            end = sink.ends()["r/s/0/1"]
            assert isinstance(end, AttemptFinished), end
            assert end.outcome.result is not None
            assert end.outcome.result.blob is not None
            assert engine.workers()[0].state == "ready"

    asyncio.run(body())


def test_a_link_too_slow_for_an_answer_counts_as_gone(tmp_path: Path, shared_worker: Any) -> None:
    async def body() -> None:
        sink = Sink()
        async with (
            proxied(shared_worker) as proxy,
            open_grid(tmp_path, proxy.url, shared_worker.token) as engine,
        ):
            await submit(engine, sink, "r/s/0/1", FOREVER)
            await sink.until(lambda: bool(sink.texts))
            proxy.slow(4)
            await state(engine, "away")
            await sink.until(lambda: bool(sink.ends()))
            assert isinstance(sink.ends()["r/s/0/1"], AttemptLost)

    asyncio.run(body())
