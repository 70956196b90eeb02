"""Every limit ends its attempt with a sentence that names it; the sandbox goes on."""

# ruff: noqa: E501 the code under test is quoted as it is

from __future__ import annotations

import asyncio
import os
import resource
from typing import Any

import pytest

from nadg.domain.limits import Limits
from nadg.sandbox import Request

SMALL = {"wall_seconds": 20, "cpu_seconds": 15, "memory_megabytes": 256}


@pytest.fixture(autouse=True)
def _still_works(box: Any) -> Any:
    yield
    assert box.value("result = 1 + 1") == 2


@pytest.mark.parametrize(
    ("limits", "source", "reason"),
    [
        ({"wall_seconds": 0.4}, "while True: pass", "wall time limit of 0.4 s reached"),
        ({"wall_seconds": 0.4}, "import time; time.sleep(60)", "wall time limit of 0.4 s reached"),
        (
            {"wall_seconds": 0.4},
            "import os, signal, time; os.kill(os.getpid(), signal.SIGSTOP); time.sleep(60)",
            "wall time limit of 0.4 s reached",
        ),
        (
            {"wall_seconds": 0.5},
            "import signal, time\nfor n in set(signal.valid_signals()) - {9, 19}: signal.signal(n, signal.SIG_IGN)\n"
            "while True: time.sleep(1)",
            "wall time limit of 0.5 s reached",
        ),
        ({"cpu_seconds": 1}, "while True: pass", "CPU time limit of 1 s reached"),
        (
            {"cpu_seconds": 1},
            "import signal; signal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass",
            "CPU time limit of 1 s reached",
        ),
        ({}, "x = bytearray(1 << 30)", "memory limit of 256 MiB reached"),
        ({}, "x = []\nwhile True: x.append(bytes(1 << 16))", "memory limit of 256 MiB reached"),
        ({}, "x = [0]\nwhile True: x = x + x", "memory limit of 256 MiB reached"),
        ({"output_bytes": 1 << 20}, "while True: print('x' * 1000)", "output limit of 1 MiB reached"),
        ({"output_bytes": 100}, "import sys; sys.stderr.write('x' * 101)", "output limit of 100 bytes reached"),
        ({"result_bytes": 1 << 10}, "result = 'x' * 2000", "result limit of 1 KiB reached"),
        (
            {"artifact_bytes": 1 << 20},
            "open('big', 'wb').write(bytes(2 << 20))",
            "artifact limit of 1 MiB reached by one file",
        ),
        (
            {"artifact_bytes": 1 << 20},
            "for n in range(3): open(str(n), 'wb').write(bytes(1 << 19))",
            "artifact limit of 1 MiB reached",
        ),
        (
            {"artifact_count": 5},
            "for n in range(6): open(str(n), 'w').close()",
            "artifact limit of 5 files reached",
        ),
        ({"open_files": 32}, "x = [open('a', 'w') for _ in range(40)]", "open file limit of 32 reached"),
        (
            {"threads": 3},
            "import threading, time\nfor _ in range(5): threading.Thread(target=time.sleep, args=(60,)).start()",
            "thread limit of 3 reached",
        ),
    ],
)
def test_a_breach_ends_the_attempt_and_names_the_limit(
    box: Any, limits: dict[str, Any], source: str, reason: str
) -> None:
    ending = box.run(source, limits=Limits(**{**SMALL, **limits}))
    assert (ending.kind, ending.reason) == ("limit", reason)
    assert ending.result is None


def test_a_flood_of_output_leaves_the_workers_memory_flat(box: Any) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    output: list[int] = []
    request = Request(
        attempt_id="a",
        source="import os\nwhile True: os.write(1, b'x' * 65536)",
        limits=Limits(output_bytes=256 << 20, wall_seconds=30),
    )
    ending = box.runner.run(box.sandbox.run(request, lambda _stream, text: output.append(len(text))))
    assert ending.reason == "output limit of 256 MiB reached"
    assert sum(output) == 256 << 20
    assert len(ending.stdout_tail) == 4096
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 40 << 10  # KiB


def test_a_thread_bomb_ends_and_the_worker_lives(box: Any) -> None:
    source = "import threading\nwhile True: threading.Thread(target=threading.Event().wait).start()"
    ending = box.run(source, limits=Limits(**{**SMALL, "threads": 64}))
    assert ending.kind == "limit"
    assert "limit of" in ending.reason


def test_cancelling_kills_reaps_and_removes(box: Any) -> None:
    """The awaiting task gets its CancelledError only when the process is gone; its files go soon."""
    pids: list[int] = []

    async def cancel_when_it_speaks() -> None:
        spoke = asyncio.Event()

        def on_output(_stream: str, _text: str) -> None:
            (attempt,) = box.sandbox._running
            pids.append(attempt.process.pid)
            spoke.set()

        source = "import time; open('left', 'w').close(); print('here'); time.sleep(60)"
        task = asyncio.create_task(box.sandbox.run(Request(attempt_id="a", source=source), on_output))
        await spoke.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    box.runner.run(cancel_when_it_speaks())
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)
    box.settle()
    for lane in (box.root / "attempts").glob("sandbox-*/attempts/lanes/[0-9]*"):
        assert not list((lane / "work").iterdir())


def test_cancelling_at_once_is_clean(box: Any) -> None:
    async def cancel_early() -> None:
        for turns in range(8):
            request = Request(attempt_id="a", source="import time; time.sleep(60)")
            task = asyncio.create_task(box.sandbox.run(request, lambda *_: None))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    box.runner.run(cancel_early())
