"""Rows 23 and 25 to 33: whatever takes too much, or never ends, ends in a sentence that names the limit."""

# ruff: noqa: E501 the code under test is quoted as it is

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sandbox.threats.hosts import Box
from tests.sandbox.threats.words import TRY, attack

SHORT = 0.3
"""Seconds of wall time for what would never end."""


@pytest.fixture(autouse=True)
def _still_works(box: Box) -> Iterator[None]:
    yield
    assert box.value("result = 1 + 1") == 2


def _ends(box: Box, source: str, reason: str, **limits: float) -> None:
    """It is over in time, and for this reason."""
    began = time.monotonic()
    ending = box.run(source, limits={"memory_megabytes": 128, **limits})
    assert (ending.kind, ending.reason) == ("limit", reason)
    assert ending.result is None
    assert time.monotonic() - began < 20


def test_23_thread_bomb(box: Box) -> None:
    source = "import threading\nfor _ in range(10_000): threading.Thread(target=threading.Event().wait).start()"
    ending = box.run(source, limits={"threads": 16, "memory_megabytes": 256})
    assert ending.kind == "limit"
    assert "limit of" in ending.reason
    few = "import threading\nall = [threading.Thread(target=int) for _ in range(8)]\n[t.start() for t in all]\nresult = 1"
    assert box.value(few, limits={"threads": 16}) == 1


@pytest.mark.parametrize(
    "source",
    [
        "x = []\nwhile True: x.append(bytearray(1 << 20))",
        "x = bytearray(1 << 30)",
        "x = []\nwhile True: x.append(bytes(1 << 16))",
        "import mmap\nx = []\nwhile True: x.append(mmap.mmap(-1, 1 << 24))",
    ],
    ids=["megabytes", "one-piece", "small-pieces", "mappings"],
)
def test_25_memory_bomb(box: Box, source: str) -> None:
    ending = box.run(source, limits={"memory_megabytes": 128})
    assert ending.kind in ("limit", "failed")
    assert ending.reason == "memory limit of 128 MiB reached" or "Cannot allocate memory" in ending.reason
    assert ending.max_rss_bytes < 300 << 20
    assert box.value("x = bytearray(32 << 20); result = 1", limits={"memory_megabytes": 128}) == 1


def test_26_cpu_spin(box: Box) -> None:
    _ends(box, "while True: pass", "CPU time limit of 1 s reached", cpu_seconds=1)
    _ends(box, "while True: pass", f"wall time limit of {SHORT:g} s reached", wall_seconds=SHORT)


def test_27_sleeping_or_stopped(box: Box) -> None:
    reason = f"wall time limit of {SHORT:g} s reached"
    _ends(box, "import time; time.sleep(60)", reason, wall_seconds=SHORT)
    # the first process of a namespace does not stop itself, so it goes on to sleep
    stopped = "import os, signal, time; os.kill(os.getpid(), signal.SIGSTOP); time.sleep(60)"
    _ends(box, stopped, reason, wall_seconds=SHORT)


def test_28_ignores_signals(box: Box) -> None:
    source = (
        "import signal, time\nfor n in set(signal.valid_signals()) - {9, 19}: signal.signal(n, signal.SIG_IGN)\n"
    )
    source += "signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())\nwhile True: time.sleep(1)"
    _ends(box, source, f"wall time limit of {SHORT:g} s reached", wall_seconds=SHORT)


def test_29_one_huge_file(box: Box) -> None:
    source = """
    file = open("big", "wb", buffering=0)
    result = [refused(os.ftruncate, file.fileno(), 2 << 20), refused(os.posix_fallocate, file.fileno(), 0, 2 << 20),
              refused(os.pwrite, file.fileno(), b"x", 2 << 20), refused(file.write, b"x" * 100)]
    """
    found = attack(box, source, limits={"artifact_bytes": 1 << 20})
    assert set(found[:-1]) <= {"EFBIG", "ENOSPC"}
    assert found[-1] is None


def test_30_many_files(box: Box) -> None:
    """Together they are more than may be kept."""
    source = "for n in range(40): open(str(n), 'wb').write(bytes(1 << 18))"
    ending = box.run(source, limits={"artifact_bytes": 1 << 20})
    assert ending.kind in ("limit", "failed")
    assert "artifact limit of 1 MiB reached" in ending.reason or "No space left" in ending.reason
    assert ending.artifacts == ()
    assert _left_on_disk(box) == []


def test_31_inode_flood(box: Box) -> None:
    source = "import os\nfor n in range(300): open(str(n), 'w').close()"
    ending = box.run(source, limits={"artifact_count": 50})
    assert ending.kind in ("limit", "failed")
    assert "artifact limit of 50 files reached" in ending.reason or "No space left" in ending.reason
    assert _left_on_disk(box) == []
    few = "for n in range(50): open(str(n), 'w').close()"
    assert len(box.run(few, limits={"artifact_count": 50}).artifacts) == 50


def test_32_a_flood_of_output_leaves_the_workers_memory_flat(box: Box) -> None:
    before = _peak_kibibytes(box.pid)
    flood = "import os\nwhile True: os.write(1, b'x' * 65536)"
    running = box.start(flood, limits={"output_bytes": 64 << 20}, quiet=True)
    ending = running.ending()
    assert ending.reason == "output limit of 64 MiB reached"
    assert running.output_length == 64 << 20
    assert len(ending.stdout_tail) == 4096
    assert _peak_kibibytes(box.pid) - before < 24 << 10


def _peak_kibibytes(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def test_33_any_bytes_are_a_valid_stream(box: Box) -> None:
    """Bad UTF-8, a character cut in two, NUL, terminal commands: text comes, in order, and nothing breaks."""
    output: list[tuple[str, str]] = []
    source = r"""
os.write(1, b"a\xff\xfe\x00b\n")
os.write(1, b"\xe2\x82"); os.write(1, b"\xac\n")
os.write(2, b"\x1b[2J\x1b]0;owned\x07\xc3\n")
result = "\ud800"
"""
    ending = box.run(TRY + source, output=output)
    told = "".join(text for stream, text in output if stream == "stdout")
    assert told == "a\ufffd\ufffd\x00b\n\u20ac\n"
    assert "\ufffd" in "".join(text for stream, text in output if stream == "stderr")
    assert ending.kind in ("succeeded", "failed")
    ending.reason.encode()


def _left_on_disk(box: Box) -> list[Path]:
    """What stands in the work folders of this sandbox."""
    work = [path for path in (box.root / "attempts").rglob("work") if path.is_dir()]
    assert work, "a process that waits for its job has a lane"
    return [path for folder in work for path in folder.iterdir()]
