"""What everything that forks is measured against: fork, exit and wait in a process with the same modules."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import nadg

WARM = ("nadg.sandbox.zygote",)
"""What each of the sandbox's warm processes holds beside the modules of its policy."""
_LOOP = """
import gc, os, sys, time
count, source_folder, *modules = sys.argv[1:]
sys.path.append(source_folder)
from nadg.sandbox.late_random import load_without_hook
load_without_hook()  # as the warm processes do: else each fork seeds a generator
for name in modules:
    __import__(name)
gc.collect(); gc.freeze()
print("ready", flush=True)
sys.stdin.readline()
times = []
began = time.monotonic()
for _ in range(int(count)):
    asked = time.monotonic()
    {body}
    times.append((took, time.monotonic() - asked))
seconds = time.monotonic() - began
for pair in times:
    print(*pair)
print(seconds)
"""
_TIMED = """
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(writer, repr(time.monotonic() - asked).encode()); os._exit(0)
    took = os.read(reader, 100).decode()
    os.waitpid(pid, 0)
    os.close(reader); os.close(writer)
"""
_PLAIN = """
    took = 0.0
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
"""


class ForkTimes(NamedTuple):
    """Seconds of one fork."""

    to_first_line: float
    until_reaped: float


def fork_times(count: int, modules: Sequence[str] = WARM) -> list[ForkTimes]:
    """Seconds to the child's first line and until it was reaped, of `count` forks one after another."""
    lines = _run_loops(_TIMED, count, modules, 1)[0][:-1]
    return [ForkTimes(*map(float, line.split())) for line in lines]


def fork_rate(count: int, modules: Sequence[str] = WARM, loops: int = 1) -> float:
    """Forks a second of such loops side by side, `count` in each; the sum of what each reaches."""
    return sum(count / float(lines[-1]) for lines in _run_loops(_PLAIN, count, modules, loops))


def _run_loops(body: str, count: int, modules: Sequence[str], loops: int) -> list[list[str]]:
    """The lines that each loop printed; all begin when all have loaded their modules."""
    program = _LOOP.replace("{body}", body.strip())
    source_folder = str(Path(nadg.__file__).parent.parent)
    command = [sys.executable, "-I", "-B", "-c", program, str(count), source_folder, *modules]
    with tempfile.TemporaryDirectory() as folder:
        pipe = subprocess.PIPE
        environment = lean_environment(folder)
        running = [
            subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True) for _ in range(loops)
        ]
        for one in running:
            assert one.stdout is not None
            if one.stdout.readline() != "ready\n":
                raise SystemExit("the fork loop did not start")
        for one in running:
            assert one.stdin is not None
            one.stdin.write("go\n")
            one.stdin.flush()
        return [one.communicate()[0].splitlines() for one in running]


def lean_environment(folder: str) -> dict[str, str]:
    """As little as a warm process has: one thread in numeric libraries, no display, settings in `folder`."""
    kept = {name: os.environ[name] for name in ("TZ", "LD_LIBRARY_PATH") if name in os.environ}
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    fixed = {
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "HOME": folder,
        "MPLCONFIGDIR": folder,
        "MPLBACKEND": "Agg",
    }
    return kept | threads | fixed | {"MALLOC_ARENA_MAX": "2"}
