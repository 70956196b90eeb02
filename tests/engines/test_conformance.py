"""What every engine promises, on the fake and on a real grid with a real worker process."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nadg.domain.assignment import Assignment, Code, Items, Whole
from nadg.domain.blob import INLINE_BYTES, BlobRef, FileRef, Value
from nadg.domain.clock import SystemClock
from nadg.domain.events import AttemptEvent, AttemptFinished, AttemptLost, AttemptStarted
from nadg.domain.outcome import Outcome
from nadg.engines.fake import FakeEngine, Say, create_fake_outcome
from nadg.engines.grid import GridEngine
from nadg.engines.protocol import Engine
from nadg.link.blobfolder import BlobFolder

OUTPUT = "print('hello', flush=True); result = 1"
FOREVER = "import time\nprint('on', flush=True)\nwhile True: time.sleep(0.05)"
BIG = f"open('a.txt', 'w').write('artifact'); result = 'x' * {INLINE_BYTES}"


class Sink:
    """Keeps what it is told and wakes who waits for it."""

    def __init__(self) -> None:
        self.events: list[AttemptEvent] = []
        self.texts: list[str] = []
        self._told = asyncio.Event()
        self.at_end: Callable[[AttemptEvent], None] = lambda _: None

    def event(self, event: AttemptEvent) -> None:
        self.events.append(event)
        self.at_end(event)
        self._told.set()

    def output(self, attempt_id: str, stream: str, text: str) -> None:
        self.texts.append(text)
        self._told.set()

    def ends(self) -> list[AttemptFinished | AttemptLost]:
        return [event for event in self.events if not isinstance(event, AttemptStarted)]

    async def until(self, enough: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not enough():
                self._told.clear()
                await self._told.wait()


class Use:
    """An engine in use."""

    def __init__(self, engine: Engine, blobs: BlobFolder) -> None:
        self.engine, self.blobs, self.sink = engine, blobs, Sink()

    async def submit(self, attempt_id: str, code: str, **fields: Any) -> None:
        given = {"piece": Whole()} | fields
        assignment = Assignment(attempt_id=attempt_id, job=Code(code=code), **given)
        await self.engine.submit(assignment, self.sink)

    async def ended(self, count: int = 1) -> list[AttemptFinished | AttemptLost]:
        await self.sink.until(lambda: len(self.sink.ends()) >= count)
        return self.sink.ends()


async def run_code(assignment: Assignment, say: Say, blobs: BlobFolder) -> Outcome:
    """What the fake does with the sources of these tests."""
    assert isinstance(assignment.job, Code)
    clock = SystemClock()
    if assignment.job.code == FOREVER:
        say("stdout", "on\n")
        await asyncio.Event().wait()
    if assignment.job.code == OUTPUT:
        say("stdout", "hello\n")
    if assignment.job.code.startswith("raise"):
        return create_fake_outcome(assignment, clock, kind="failed", reason="ValueError: no")
    if assignment.job.code == BIG:
        made = create_fake_outcome(assignment, clock)
        file = FileRef(name="a.txt", blob=blobs.put(b"artifact"))
        value = Value(blob=blobs.put(json.dumps("x" * INLINE_BYTES).encode()))
        return Outcome(kind="succeeded", receipt=made.receipt, result=value, artifacts=(file,))
    if isinstance(assignment.piece, Items):
        items = json.loads(assignment.piece.values.inline or b"")
        doubled = json.dumps([2 * item for item in items]).encode()
        return create_fake_outcome(assignment, clock, result=doubled, per_item=True)
    return create_fake_outcome(assignment, clock, result=b"1")


OpenEngine = Callable[[], contextlib.AbstractAsyncContextManager[Use]]


@pytest.fixture(params=["fake", "grid"])
def open_engine(request: pytest.FixtureRequest, tmp_path: Path) -> OpenEngine:
    blobs = BlobFolder(tmp_path / "master")

    @contextlib.asynccontextmanager
    async def fake() -> Any:
        async with FakeEngine(lambda one, say: run_code(one, say, blobs), SystemClock(), slots=2) as engine:
            yield Use(engine, blobs)

    @contextlib.asynccontextmanager
    async def grid() -> Any:
        worker = request.getfixturevalue("shared_worker")
        async with GridEngine(blobs, SystemClock()) as engine:
            engine.add_worker(worker.url, worker.token)
            await engine.wait_ready(1, 20)
            yield Use(engine, blobs)

    if request.param == "fake":
        return fake
    request.getfixturevalue("shared_worker")
    return grid


def used(open_engine: OpenEngine, use: Callable[[Use], Any]) -> None:
    async def body() -> None:
        async with open_engine() as one:
            await use(one)

    asyncio.run(body())


def test_code_that_raises_finishes_as_failed(open_engine: OpenEngine) -> None:
    async def use(one: Use) -> None:
        await one.submit("r/s/0/1", "raise ValueError('no')")
        (end,) = await one.ended()
        assert isinstance(end, AttemptFinished)
        assert end.outcome.kind == "failed"
        assert "ValueError: no" in end.outcome.reason

    used(open_engine, use)


def test_an_attempt_cancelled_while_it_runs_ends_once(open_engine: OpenEngine) -> None:
    async def use(one: Use) -> None:
        await one.submit("r/s/0/1", FOREVER)
        await one.sink.until(lambda: bool(one.sink.texts))
        await one.engine.cancel("r/s/0/1")
        await one.engine.cancel("r/s/0/1")
        (end,) = await one.ended()
        assert isinstance(end, AttemptLost) or end.outcome.kind == "cancelled"
        await one.engine.cancel("r/s/0/1")
        await one.submit("r/s/1/1", OUTPUT)
        assert len(await one.ended(2)) == 2

    used(open_engine, use)


def test_attempts_cancelled_before_they_start_end_once_and_do_not_start(open_engine: OpenEngine) -> None:
    async def use(one: Use) -> None:
        for index in range(6):
            await one.submit(f"r/s/{index}/1", FOREVER)
        await one.sink.until(lambda: len(one.sink.texts) == 2)
        for index in range(6):
            await one.engine.cancel(f"r/s/{index}/1")
        assert len(await one.ended(6)) == 6
        assert sum(isinstance(event, AttemptStarted) for event in one.sink.events) == 2

    used(open_engine, use)


def test_what_is_unknown_cannot_be_cancelled_and_that_is_no_fault(open_engine: OpenEngine) -> None:
    async def use(one: Use) -> None:
        await one.engine.cancel("r/never/0/1")
        assert one.sink.events == []

    used(open_engine, use)


def test_an_attempt_under_way_is_not_taken_twice(open_engine: OpenEngine) -> None:
    async def use(one: Use) -> None:
        await one.submit("r/s/0/1", FOREVER)
        with pytest.raises(ValueError, match="under way"):
            await one.submit("r/s/0/1", FOREVER)

    used(open_engine, use)


def test_what_is_under_way_when_the_engine_closes_is_lost(open_engine: OpenEngine) -> None:
    sinks: list[Sink] = []

    async def use(one: Use) -> None:
        await one.submit("r/s/0/1", FOREVER)
        sinks.append(one.sink)

    used(open_engine, use)
    assert [type(event) for event in sinks[0].ends()] == [AttemptLost]


def test_it_starts_says_something_and_finishes(open_engine: OpenEngine) -> None:
    async def use(one: Use) -> None:
        await one.submit("r/s/0/1", OUTPUT)
        (end,) = await one.ended()
        started = one.sink.events[0]
        assert isinstance(started, AttemptStarted)
        assert isinstance(end, AttemptFinished)
        assert started.worker == end.outcome.receipt.worker
        assert end.outcome.result == Value(inline=b"1")
        assert "".join(one.sink.texts) == "hello\n"

    used(open_engine, use)


def test_items_give_a_list(open_engine: OpenEngine) -> None:
    async def use(one: Use) -> None:
        piece = Items(first=0, count=3, values=Value(inline=b"[1,2,3]"))
        await one.submit("r/s/0/1", "result = 2 * item", piece=piece)
        (end,) = await one.ended()
        assert isinstance(end, AttemptFinished)
        assert end.outcome.per_item
        assert json.loads((end.outcome.result or Value()).inline or b"") == [2, 4, 6]

    used(open_engine, use)


def test_the_blobs_of_an_outcome_are_here_when_it_is_reported(open_engine: OpenEngine) -> None:
    async def use(one: Use) -> None:
        here: list[bool] = []

        def look(event: AttemptEvent) -> None:
            if isinstance(event, AttemptFinished):
                assert event.outcome.result is not None
                refs: list[BlobRef | None] = [event.outcome.result.blob]
                refs.extend(file.blob for file in event.outcome.artifacts)
                here.extend(ref is not None and one.blobs.has(ref.sha256) for ref in refs)

        one.sink.at_end = look
        await one.submit("r/s/0/1", BIG)
        await one.ended()
        assert here == [True, True]

    used(open_engine, use)


def test_many_attempts_all_end_once(open_engine: OpenEngine) -> None:
    async def use(one: Use) -> None:
        for index in range(200):
            await one.submit(f"r/s/{index}/1", "result = 1")
        ends = await one.ended(200)
        assert len({end.attempt_id for end in ends}) == len(ends) == 200
        assert all(isinstance(end, AttemptFinished) for end in ends)

    used(open_engine, use)
