"""What every engine promises when a run changes hands, on the fake and on a real grid with a real worker."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from nadg.domain.assignment import Assignment, Code, Whole
from nadg.domain.clock import SystemClock
from nadg.domain.events import AttemptFinished, AttemptLost, AttemptStarted
from nadg.engines.fake import FAKE_WORKER, FakeEngine, FakeWorkers
from nadg.engines.grid import GridEngine
from nadg.engines.protocol import Engine
from nadg.link.blobfolder import BlobFolder
from tests.engines.test_conformance import FOREVER, OUTPUT, run_code
from tests.support.sink import Sink


class Master:
    """An engine, and what its run is told. Runs are named apart: the worker is shared with other tests."""

    def __init__(self, engine: Engine, run: str) -> None:
        self.engine, self.run, self.sink = engine, run, Sink()

    def attempt(self, index: int = 0) -> str:
        return f"{self.run}/s/{index}/1"

    def _assignment(self, code: str, term: int, index: int) -> Assignment:
        return Assignment(attempt_id=self.attempt(index), job=Code(code=code), piece=Whole(), term=term)

    async def submit(self, code: str, index: int = 0) -> None:
        await self.engine.submit(self._assignment(code, 1, index), self.sink)

    async def adopt(self, code: str, worker: str = "", *, term: int = 2, index: int = 0) -> None:
        await self.engine.adopt(self._assignment(code, term, index), self.sink, worker)

    async def end(self, index: int = 0) -> AttemptFinished | AttemptLost:
        await self.sink.until(lambda: self.attempt(index) in self.sink.ends())
        return self.sink.ends()[self.attempt(index)]


class Pair:
    """Two masters of the same workers."""

    def __init__(self, old: Engine, new: Engine, worker: str, run: str) -> None:
        self.old, self.new, self.worker = Master(old, run), Master(new, run), worker


Body = Callable[[Pair], Awaitable[None]]


@pytest.fixture(params=["fake", "grid"])
def with_pair(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Body], None]:
    clock, run = SystemClock(), request.node.name.partition("[")[0].replace("_", "")

    @contextlib.asynccontextmanager
    async def fake() -> AsyncIterator[Pair]:
        blobs = BlobFolder(tmp_path / "master")
        async with (
            FakeWorkers(lambda one, say: run_code(one, say, blobs), clock) as workers,
            FakeEngine.over(workers) as old,
            FakeEngine.over(workers) as new,
        ):
            yield Pair(old, new, FAKE_WORKER, run)

    @contextlib.asynccontextmanager
    async def grid() -> AsyncIterator[Pair]:
        worker = request.getfixturevalue("shared_worker")
        async with (
            GridEngine(BlobFolder(tmp_path / "old"), clock) as old,
            GridEngine(BlobFolder(tmp_path / "new"), clock) as new,
        ):
            for engine in (old, new):
                engine.add_worker(worker.url, worker.token)
                await engine.wait_ready(1, 20)
            yield Pair(old, new, "shared", run)

    if request.param == "grid":
        request.getfixturevalue("shared_worker")

    def use(body: Body) -> None:
        async def inside() -> None:
            async with fake() if request.param == "fake" else grid() as pair:
                await body(pair)

        asyncio.run(inside())

    return use


def test_an_outcome_is_kept_until_it_is_acknowledged(with_pair: Callable[[Body], None]) -> None:
    async def body(pair: Pair) -> None:
        await pair.old.submit(OUTPUT)
        first = await pair.old.end()
        pair.old.engine.abandon([pair.old.attempt()])
        await pair.new.adopt(OUTPUT, pair.worker)
        again = await pair.new.end()
        assert isinstance(first, AttemptFinished)
        assert isinstance(again, AttemptFinished)
        assert again.outcome == first.outcome, "the very same, not another try"
        pair.new.engine.acknowledge([pair.new.attempt()])
        await pair.new.adopt(OUTPUT, pair.worker, term=3)
        await pair.new.sink.until(lambda: isinstance(pair.new.sink.events[-1], AttemptLost))

    with_pair(body)


def test_what_runs_goes_on_for_the_new_owner_and_the_old_one_hears_nothing_more(
    with_pair: Callable[[Body], None],
) -> None:
    async def body(pair: Pair) -> None:
        await pair.old.submit(FOREVER)
        await pair.old.sink.until(lambda: bool(pair.old.sink.texts))
        pair.old.engine.abandon([pair.old.attempt()])
        heard = len(pair.old.sink.events)
        await pair.new.adopt(FOREVER)
        await pair.new.sink.until(lambda: bool(pair.new.sink.events))
        started = pair.new.sink.events[0]
        assert isinstance(started, AttemptStarted)
        assert started.worker == pair.worker
        await pair.old.engine.cancel(pair.old.attempt())
        await pair.new.engine.cancel(pair.new.attempt())
        end = await pair.new.end()
        assert isinstance(end, AttemptLost) or end.outcome.kind == "cancelled"
        pair.new.engine.acknowledge([pair.new.attempt()])
        assert len(pair.old.sink.events) == heard

    with_pair(body)


def test_nothing_is_heard_of_what_was_abandoned_and_it_is_there_for_another(
    with_pair: Callable[[Body], None],
) -> None:
    async def body(pair: Pair) -> None:
        await pair.old.submit(OUTPUT, 0)
        pair.old.engine.abandon([pair.old.attempt(0)])
        await pair.old.submit(OUTPUT, 1)
        await pair.old.end(1)
        await pair.new.adopt(OUTPUT, index=0)
        assert isinstance(await pair.new.end(0), AttemptFinished)
        pair.new.engine.acknowledge([pair.new.attempt(0)])
        pair.old.engine.acknowledge([pair.old.attempt(1)])
        assert list(pair.old.sink.ends()) == [pair.old.attempt(1)]

    with_pair(body)


def test_what_nobody_has_is_lost_where_it_had_begun_and_carried_out_where_not(
    with_pair: Callable[[Body], None],
) -> None:
    async def body(pair: Pair) -> None:
        await pair.new.adopt(OUTPUT, pair.worker, index=0)
        await pair.new.adopt(OUTPUT, index=1)
        begun, waiting = await pair.new.end(0), await pair.new.end(1)
        assert isinstance(begun, AttemptLost)
        assert begun.worker == pair.worker
        assert isinstance(waiting, AttemptFinished)
        assert waiting.outcome.kind == "succeeded"
        pair.new.engine.acknowledge([pair.new.attempt(0), pair.new.attempt(1)])

    with_pair(body)


def test_what_is_under_way_here_is_not_adopted(with_pair: Callable[[Body], None]) -> None:
    async def body(pair: Pair) -> None:
        await pair.old.submit(FOREVER)
        with pytest.raises(ValueError, match="under way"):
            await pair.old.adopt(FOREVER)

    with_pair(body)


def test_what_is_unknown_may_be_acknowledged_and_abandoned(with_pair: Callable[[Body], None]) -> None:
    async def body(pair: Pair) -> None:
        pair.new.engine.acknowledge(["never/s/0/1"])
        pair.new.engine.abandon(["never/s/0/1"])
        await pair.new.submit(OUTPUT)
        assert isinstance(await pair.new.end(), AttemptFinished)
        assert list(pair.new.sink.ends()) == [pair.new.attempt()]

    with_pair(body)
