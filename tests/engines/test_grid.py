"""The grid against real worker processes that die, go away, lie low and come back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from nadg.domain.assignment import Assignment, Code, Whole
from nadg.domain.blob import FileRef, Value
from nadg.domain.clock import SystemClock
from nadg.domain.errors import LinkLost, LinkRefused, UserError
from nadg.domain.events import AttemptEvent, AttemptFinished, AttemptLost, AttemptStarted
from nadg.domain.tier import Tier
from nadg.engines.grid import GridEngine, GridSettings, ask_worker
from nadg.link.blobfolder import BlobFolder
from tests.support.faulty_proxy import FaultyProxy

FOREVER = "import time\nprint('on', flush=True)\nwhile True: time.sleep(0.05)"
WAIT_FOR_FILE_SIZE = "result = open(inputs['big'], 'rb').seek(0, 2)"


class Sink:
    def __init__(self) -> None:
        self.events: list[AttemptEvent] = []
        self.texts: list[str] = []
        self._told = asyncio.Event()

    def event(self, event: AttemptEvent) -> None:
        self.events.append(event)
        self._told.set()

    def output(self, attempt_id: str, stream: str, text: str) -> None:
        self.texts.append(text)
        self._told.set()

    @property
    def ends(self) -> list[AttemptFinished | AttemptLost]:
        return [event for event in self.events if not isinstance(event, AttemptStarted)]

    @property
    def lost(self) -> list[AttemptLost]:
        return [event for event in self.events if isinstance(event, AttemptLost)]

    async def until(self, enough: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not enough():
                self._told.clear()
                await self._told.wait()


def _result(end: AttemptFinished | AttemptLost) -> bytes | str | None:
    """The result of a success, the reason of anything else."""
    if isinstance(end, AttemptLost) or end.outcome.result is None:
        return end.reason if isinstance(end, AttemptLost) else end.outcome.reason
    return end.outcome.result.inline


def port_of(worker: Any) -> int:
    return int(worker.url.rsplit(":", 1)[1])


async def submit(engine: GridEngine, sink: Sink, attempt_id: str, code: str = "result = 1", **fields: Any) -> None:
    assignment = Assignment(attempt_id=attempt_id, job=Code(code=code), piece=Whole(), **fields)
    await engine.submit(assignment, sink)


@contextlib.asynccontextmanager
async def open_grid(folder: Path, *workers: Any, **settings: float) -> AsyncIterator[GridEngine]:
    blobs = BlobFolder(folder / "master")
    async with GridEngine(blobs, SystemClock(), settings=GridSettings(**settings), jitter=lambda: 0.5) as engine:
        for worker in workers:
            engine.add_worker(worker.url, worker.token)
        await engine.wait_ready(len(workers), 30)
        yield engine


def test_a_killed_worker_loses_each_of_its_attempts_once_and_the_rest_goes_on(
    tmp_path: Path, start_worker: Any
) -> None:
    one, other = start_worker("one"), start_worker("other")

    async def body() -> None:
        sink = Sink()
        async with open_grid(tmp_path, one, other, grace_seconds=0.5) as engine:
            for index in range(4):
                await submit(engine, sink, f"r/s/{index}/1", FOREVER)
            await sink.until(lambda: len(sink.texts) == 4)
            one.kill()
            await sink.until(lambda: len(sink.lost) == 2)
            assert {lost.worker for lost in sink.lost} == {"one"}
            await submit(engine, sink, "r/t/0/1", avoid_workers=("one",))
            await engine.cancel(
                next(iter({f"r/s/{n}/1" for n in range(4)} - {lost.attempt_id for lost in sink.lost}))
            )
            await sink.until(lambda: len(sink.ends) == 4)
            assert len(sink.lost) == 2
            assert {view.url: view.state for view in engine.workers()} == {one.url: "away", other.url: "ready"}

    asyncio.run(body())


def test_a_link_cut_and_back_in_time_loses_nothing_and_runs_nothing_twice(
    tmp_path: Path, shared_worker: Any
) -> None:
    async def body() -> None:
        sink = Sink()
        async with FaultyProxy(port_of(shared_worker)).open() as proxy:
            proxied = _Proxied(proxy.url, shared_worker.token)
            async with open_grid(tmp_path, proxied, grace_seconds=30) as engine:
                for index in range(40):
                    await submit(engine, sink, f"r/s/{index}/1", "import time; time.sleep(0.02); result = 1")
                for share in (5, 15, 25):
                    await sink.until(lambda share=share: len(sink.ends) >= share)  # type: ignore[misc]
                    proxy.cut()
                await sink.until(lambda: len(sink.ends) == 40)
            started = [event.attempt_id for event in sink.events if isinstance(event, AttemptStarted)]
            assert len(started) == len(set(started))
            assert sink.lost == []

    asyncio.run(body())


class _Proxied:
    def __init__(self, url: str, token: str) -> None:
        self.url, self.token = url, token


def test_a_link_that_went_silent_is_found_out_and_opened_again(tmp_path: Path, shared_worker: Any) -> None:
    async def body() -> None:
        sink = Sink()
        async with FaultyProxy(port_of(shared_worker)).open() as proxy:
            proxied = _Proxied(proxy.url, shared_worker.token)
            async with open_grid(tmp_path, proxied, grace_seconds=60, ping_seconds=0.1) as engine:
                await submit(engine, sink, "r/s/0/1", FOREVER)
                await sink.until(lambda: bool(sink.texts))
                proxy.stall()
                async with asyncio.timeout(30):
                    await engine.wait_until(lambda: engine.workers()[0].state != "ready")
                assert "nothing was heard" in engine.workers()[0].reason
                proxy.cut()
                proxy.pass_on()
                await engine.wait_ready(1, 30)
                await engine.cancel("r/s/0/1")
                await sink.until(lambda: bool(sink.ends))
                assert sink.lost == []

    asyncio.run(body())


def test_a_large_input_crosses_once_to_each_worker(tmp_path: Path, start_worker: Any) -> None:
    size = 50 << 20

    async def body() -> None:
        sink = Sink()
        source = tmp_path / "big"
        source.write_bytes(bytes(range(256)) * (size // 256))
        async with contextlib.AsyncExitStack() as stack:
            proxies = [
                await stack.enter_async_context(FaultyProxy(port_of(worker)).open())
                for worker in (start_worker("one"), start_worker("other"))
            ]
            proxied = [_Proxied(proxy.url, "a token for tests") for proxy in proxies]
            engine = await stack.enter_async_context(open_grid(tmp_path, *proxied))
            blob = BlobFolder(tmp_path / "master").adopt(source)
            for index in range(100):
                file = FileRef(name="big", blob=blob)
                await submit(engine, sink, f"r/s/{index}/1", WAIT_FOR_FILE_SIZE, inputs=(file,))
            await sink.until(lambda: len(sink.ends) == 100)
            assert {_result(end) for end in sink.ends} == {str(size).encode()}
            assert all(proxy.forwarded_bytes < 1.05 * size + (1 << 20) for proxy in proxies)
            assert sum(proxy.forwarded_bytes > size for proxy in proxies) >= 1

    asyncio.run(body())


def test_an_input_whose_bytes_changed_is_refused_and_told(tmp_path: Path, shared_worker: Any) -> None:
    async def body() -> None:
        sink = Sink()
        async with open_grid(tmp_path, shared_worker) as engine:
            blobs = BlobFolder(tmp_path / "master")
            blob = blobs.put(b"what was hashed")
            blobs.path(blob.sha256).unlink()
            (tmp_path / "master" / blob.sha256[:2] / blob.sha256).write_bytes(b"what is sent!!!")
            await submit(engine, sink, "r/s/0/1", inputs=(FileRef(name="a", blob=blob),))
            await sink.until(lambda: bool(sink.ends))
            (end,) = sink.ends
            assert isinstance(end, AttemptFinished)
            assert end.outcome.kind == "crashed"
            assert "hash to" in end.outcome.reason

    asyncio.run(body())


def test_no_worker_qualifies_and_the_attempt_says_why(tmp_path: Path, shared_worker: Any) -> None:
    async def body() -> None:
        sink = Sink()
        async with open_grid(tmp_path, shared_worker, no_worker_seconds=0.1) as engine:
            assert engine.unmet((), Tier.LANDLOCK) is None
            assert "shared lacks the label gpu" in (engine.unmet(("gpu",), Tier.LANDLOCK) or "")
            await submit(engine, sink, "r/s/0/1", labels=("gpu",))
            await sink.until(lambda: bool(sink.ends))
            assert (sink.lost[0].worker, "label gpu" in sink.lost[0].reason) == ("", True)

    asyncio.run(body())


@pytest.mark.parametrize("url", ["", "localhost:7860", "ftp://a", "http://", "http://a:port", "http://[::1"])
def test_an_unusable_url_is_a_clear_sentence(tmp_path: Path, url: str) -> None:
    async def body() -> None:
        async with open_grid(tmp_path) as engine:
            with pytest.raises(UserError, match="give one like"):
                engine.add_worker(url, "t")

    asyncio.run(body())


def test_a_wrong_token_and_a_dead_url_are_told_apart(tmp_path: Path, shared_worker: Any) -> None:
    async def body() -> None:
        async with open_grid(tmp_path) as engine:
            engine.add_worker(shared_worker.url, "wrong")
            engine.add_worker("http://127.0.0.1:9", "any")
            with pytest.raises(UserError) as caught:
                await engine.wait_ready(1, 1)
            assert "0 of 1 workers are ready" in str(caught.value)
            assert "refused the token" in str(caught.value)
            assert "nothing listens at http://127.0.0.1:9" in str(caught.value)
        with pytest.raises(LinkRefused, match="token"):
            await ask_worker(shared_worker.url, "wrong")
        with pytest.raises(LinkLost, match="nothing listens"):
            await ask_worker("http://127.0.0.1:9", "any")
        assert (await ask_worker(shared_worker.url, shared_worker.token)).name == "shared"

    asyncio.run(body())


def test_a_removed_worker_loses_what_it_had(tmp_path: Path, shared_worker: Any) -> None:
    async def body() -> None:
        sink = Sink()
        async with open_grid(tmp_path, shared_worker) as engine:
            await submit(engine, sink, "r/s/0/1", FOREVER)
            await sink.until(lambda: bool(sink.texts))
            await engine.remove_worker(shared_worker.url)
            assert [lost.reason for lost in sink.lost] == ["the worker was removed"]
            assert engine.workers() == []

    asyncio.run(body())


def test_two_masters_share_a_worker(tmp_path: Path, shared_worker: Any) -> None:
    async def body() -> None:
        sinks = [Sink(), Sink()]
        async with (
            open_grid(tmp_path / "a", shared_worker) as one,
            open_grid(tmp_path / "b", shared_worker) as other,
        ):
            for index in range(50):
                await submit(one, sinks[0], f"r/s/{index}/1")
                await submit(other, sinks[1], f"r/s/{index}/1")
            for sink in sinks:
                await sink.until(lambda sink=sink: len(sink.ends) == 50)  # type: ignore[misc]
                assert sink.lost == []

    asyncio.run(body())


def test_an_assignment_too_large_for_a_frame_goes_as_blobs(tmp_path: Path, shared_worker: Any) -> None:
    async def body() -> None:
        sink = Sink()
        needs = {f"n{index}": Value(inline=b'"' + b"x" * 60_000 + b'"') for index in range(300)}
        async with open_grid(tmp_path, shared_worker) as engine:
            await submit(engine, sink, "r/s/0/1", "result = sum(map(len, needs.values()))", needs=needs)
            await sink.until(lambda: bool(sink.ends))
            (end,) = sink.ends
            assert isinstance(end, AttemptFinished)
            assert end.outcome.result == Value(inline=b"18000000")

    asyncio.run(body())
