"""How long from asking for an attempt to the first line of its code, and what the limits beside it are.

For each zygote: through the whole sandbox (every layer on), against a bare fork of a process with the same
modules loaded, and against a cold start of Python with the same imports. All in one run, interleaved.

    python benchmarks/sandbox_start.py --count 200
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bare_fork import WARM, fork_times, lean_environment

from nadg.sandbox import Policy, Request, Sandbox

MARK = "import time; result = time.monotonic()"


class _NoBlobs:
    """These attempts give nothing to store."""

    def path(self, sha256: str) -> Path:
        raise FileNotFoundError(sha256)

    def has(self, sha256: str) -> bool:
        return False

    def create(self) -> _NoBlobs:
        return self

    def write(self, data: bytes) -> None: ...

    def commit(self, expected_sha256: str | None = None) -> None: ...

    def abort(self) -> None: ...


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--count", type=int, default=200, help="attempts per measure")
    arguments.add_argument("--root", type=Path, default=None, help="where attempts live (default: temporary)")
    options = arguments.parse_args()
    print(f"{platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_measure(options.count, options.root or Path(folder)))


async def _measure(count: int, root: Path) -> None:
    policy = Policy()
    began = time.monotonic()
    async with Sandbox(policy, root, _NoBlobs()) as sandbox:  # type: ignore[arg-type]  # stores nothing
        print(f"tier {sandbox.tier}, ready after {time.monotonic() - began:.3f} s")
        for name, modules in policy.zygotes.items():
            await _run(sandbox, name)
            print(f"\n{name}: {', '.join(modules) or 'no modules'}")
            bare = fork_times(count, (*WARM, *modules))
            to_code, whole, cpu = await _sequence(sandbox, name, count)
            cold = _cold_start(max(3, count // 40), modules)
            fork = _line("bare fork: to the first line", [took for took, _ in bare], None)
            _line("sandbox: to the first line", to_code, fork)
            _line("cold python: to the first line", cold, fork)
            ended = _line("bare fork: until reaped", [took for _, took in bare], None)
            _line("sandbox: until the ending", whole, ended)
            print(f"  {'child CPU per attempt':34} {statistics.median(cpu) * 1e3:8.2f} ms")
        await _throughput(sandbox, count)


async def _run(sandbox: Sandbox, zygote: str) -> tuple[float, float, float]:
    """Seconds to the first line, to the ending, and of the child's CPU."""
    asked = time.monotonic()
    ending = await sandbox.run(Request(attempt_id="b", source=MARK, zygote=zygote), lambda *_: None)
    ended = time.monotonic()
    if ending.result is None or ending.result.inline is None:
        raise SystemExit(f"an attempt failed: {ending.reason}")
    return float(ending.result.inline) - asked, ended - asked, ending.cpu_seconds


async def _sequence(sandbox: Sandbox, zygote: str, count: int) -> tuple[list[float], list[float], list[float]]:
    runs = [await _run(sandbox, zygote) for _ in range(count)]
    return [one[0] for one in runs], [one[1] for one in runs], [one[2] for one in runs]


async def _throughput(sandbox: Sandbox, count: int) -> None:
    """Trivial attempts, four at a time, and the worker's own CPU for them."""

    async def some() -> None:
        for _ in range(count):
            await sandbox.run(Request(attempt_id="b", source="result = 1", zygote="lean"), lambda *_: None)

    cpu, began = time.process_time(), time.monotonic()
    await asyncio.gather(*(some() for _ in range(4)))
    seconds, cpu = time.monotonic() - began, time.process_time() - cpu
    print(f"\n4 at a time: {4 * count / seconds:.0f} attempts/s, worker CPU {cpu / (4 * count) * 1e3:.2f} ms each")


def _cold_start(count: int, modules: tuple[str, ...]) -> list[float]:
    """Seconds from starting Python to its first line after the same imports."""
    source = "".join(f"import {name}; " for name in modules) + "import time; print(time.monotonic())"

    def once() -> float:
        asked = time.monotonic()
        with tempfile.TemporaryDirectory() as settings:
            done = subprocess.run(
                [sys.executable, "-c", source],
                env=lean_environment(settings),
                capture_output=True,
                text=True,
                check=True,
            )
        return float(done.stdout) - asked

    return _repeat(once, count)


def _repeat(measure: Callable[[], float], count: int) -> list[float]:
    return [measure() for _ in range(count)]


def _line(what: str, seconds: list[float], against: float | None) -> float:
    """Print median, quartiles and ratio; returns the median."""
    low, middle, high = statistics.quantiles(seconds, n=4)
    ratio = f"  x{middle / against:.2f}" if against else ""
    print(f"  {what:34} {middle * 1e3:8.2f} ms  (quartiles {low * 1e3:.2f}-{high * 1e3:.2f}){ratio}")
    return middle


if __name__ == "__main__":
    main()
