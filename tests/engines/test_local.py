"""Worker processes that the master starts: ready, watched, gone."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pytest

from nadg.domain.assignment import Assignment, Code, Whole
from nadg.domain.clock import SystemClock
from nadg.domain.errors import UserError
from nadg.domain.events import AttemptEvent, AttemptFinished, AttemptLost
from nadg.engines.grid import GridEngine
from nadg.engines.local import Launch, LocalWorkers
from nadg.link.blobfolder import BlobFolder

Event = TypeVar("Event", AttemptFinished, AttemptLost)


class Sink:
    def __init__(self) -> None:
        self.events: list[AttemptEvent] = []
        self._told = asyncio.Event()

    def event(self, event: AttemptEvent) -> None:
        self.events.append(event)
        self._told.set()

    def output(self, attempt_id: str, stream: str, text: str) -> None:
        self.events = self.events

    async def until(self, enough: Callable[[], bool]) -> None:
        async with asyncio.timeout(60):
            while not enough():
                self._told.clear()
                await self._told.wait()

    def only(self, kind: type[Event]) -> Event:
        (found,) = [event for event in self.events if isinstance(event, kind)]
        return found


def family(process_ids: list[int]) -> list[psutil.Process]:
    found = []
    for process_id in process_ids:
        process = psutil.Process(process_id)
        found += [process, *process.children(recursive=True)]
    return found


def assert_gone(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=10)
    assert [process for process in alive if process.status() != psutil.STATUS_ZOMBIE] == []


def run_attempt(sink: Sink, engine: GridEngine, attempt_id: str, code: str) -> Any:
    return engine.submit(Assignment(attempt_id=attempt_id, job=Code(code=code), piece=Whole()), sink)


def open_grid(folder: Path) -> GridEngine:
    return GridEngine(BlobFolder(folder / "master"), SystemClock())


MakeLaunch = Callable[..., Launch]


def test_a_worker_that_cannot_start_says_why_and_leaves_nobody(tmp_path: Path, launch: MakeLaunch) -> None:
    async def body() -> None:
        async with GridEngine(BlobFolder(tmp_path / "master"), SystemClock()) as engine:
            launches = [launch("good"), launch("bad", host="0.0.0.0", token="")]
            with pytest.raises(UserError, match="can be reached from elsewhere"):
                async with LocalWorkers(engine, launches):
                    raise AssertionError("entered")

    asyncio.run(body())
    assert_gone([process for process in psutil.process_iter() if str(tmp_path) in " ".join(_cmdline(process))])


def _cmdline(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def test_a_killed_worker_is_told_at_once_and_started_again(tmp_path: Path, launch: MakeLaunch) -> None:
    async def body() -> None:
        sink = Sink()
        async with open_grid(tmp_path) as engine, LocalWorkers(engine, [launch("one")]) as workers:
            await engine.wait_ready(1, 30)
            await run_attempt(sink, engine, "r/s/0/1", "while True: pass")
            (first,) = workers.process_ids
            family_of_first = family([first])
            os.kill(first, signal.SIGKILL)
            await sink.until(lambda: any(isinstance(event, AttemptLost) for event in sink.events))
            assert "SIGKILL" in sink.only(AttemptLost).reason
            await run_attempt(sink, engine, "r/s/0/2", "result = 1")
            await sink.until(lambda: any(isinstance(event, AttemptFinished) for event in sink.events))
            assert sink.only(AttemptFinished).attempt_id == "r/s/0/2"
            assert workers.process_ids != [first]
            assert_gone(family_of_first)

    asyncio.run(body())


def test_nothing_is_left_after_a_stop_with_attempts_under_way(tmp_path: Path, launch: MakeLaunch) -> None:
    async def body() -> list[psutil.Process]:
        sink = Sink()
        launches = [launch("one"), launch("two")]
        async with open_grid(tmp_path) as engine, LocalWorkers(engine, launches) as workers:
            await engine.wait_ready(2, 30)
            for index in range(4):
                await run_attempt(sink, engine, f"r/s/{index}/1", "while True: pass")
            await sink.until(lambda: len(sink.events) == 4)
            return family(workers.process_ids)

    assert_gone(asyncio.run(body()))


def test_workers_die_with_a_master_that_is_killed(tmp_path: Path, launch: MakeLaunch) -> None:
    one = launch("one")
    script = textwrap.dedent(f"""
        import asyncio, time
        from pathlib import Path
        from nadg.domain.clock import SystemClock
        from nadg.engines.grid import GridEngine
        from nadg.engines.local import Launch, LocalWorkers
        from nadg.link.blobfolder import BlobFolder
        async def body():
            log = Path({str(one.log)!r})
            one = Launch(argv={one.argv!r}, settings={one.settings!r}, token={one.token!r}, log=log)
            async with GridEngine(BlobFolder(Path({str(tmp_path / "master")!r})), SystemClock()) as engine:
                async with LocalWorkers(engine, [one]) as workers:
                    await engine.wait_ready(1, 30)
                    print(workers.process_ids[0], flush=True)
                    await asyncio.Event().wait()
        asyncio.run(body())
    """)
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as master:
        assert master.stdout is not None
        processes = family([int(master.stdout.readline())])
        master.kill()
    assert_gone(processes)


def test_keys_of_the_master_do_not_reach_a_worker(
    tmp_path: Path, launch: MakeLaunch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "planted")

    async def body() -> None:
        async with GridEngine(BlobFolder(tmp_path / "master"), SystemClock()) as engine:
            one = launch("one")
            async with LocalWorkers(engine, [one]) as workers:
                for process in family(workers.process_ids):
                    with contextlib.suppress(psutil.NoSuchProcess):
                        said = process.environ().values()
                        assert "planted" not in said
                        assert one.token not in said
                        assert one.token not in process.cmdline()

    asyncio.run(body())
