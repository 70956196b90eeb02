"""How long from asking for an attempt to the first line of its code, and what the limits beside it are.

For each tier and zygote: through the whole sandbox (every layer on), against a bare fork of a process with the
same modules loaded, and against a cold start of Python with the same imports, one after another in one run.
Wanted: at most twice the bare fork in `landlock`, three times in `namespaces`.

    python benchmarks/sandbox_start.py [--count 200] [--tier landlock|namespaces]
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bare_fork import WARM, fork_times, lean_environment
from environment import print_environment

from nadg.domain.tier import Tier
from nadg.sandbox import Policy, Request, Sandbox

WANTED = {Tier.LANDLOCK: 2, Tier.NAMESPACES: 3}
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
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--count", type=int, default=200, help="attempts per measure")
    arguments.add_argument("--root", type=Path, default=None, help="where attempts live (default: temporary)")
    arguments.add_argument("--tier", choices=[str(tier) for tier in WANTED], help="default: each")
    options = arguments.parse_args()
    print_environment("msgspec", "numpy", "pandas", "matplotlib")
    for tier in [Tier(options.tier)] if options.tier else WANTED:
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(_measure(tier, options.count, options.root or Path(folder)))


async def _measure(tier: Tier, count: int, root: Path) -> None:
    policy = Policy(tier=tier)
    began = time.monotonic()
    async with Sandbox(policy, root, _NoBlobs()) as sandbox:  # type: ignore[arg-type]  # stores nothing
        print(f"\ntier {sandbox.tier}, ready after {time.monotonic() - began:.3f} s")
        for name, modules in policy.zygotes.items():
            await _run(sandbox, name)
            print(f"\n{name}: {', '.join(modules) or 'no modules'}")
            bare = fork_times(count, (*WARM, *modules))
            to_code, whole, cpu = await _sequence(sandbox, name, count)
            cold = _cold_start(max(3, count // 40), modules)
            fork = _line("bare fork: to the first line", [took for took, _ in bare], None)
            ours = _line("sandbox: to the first line", to_code, fork)
            _line("cold python: to the first line", cold, fork)
            ended = _line("bare fork: until reaped", [took for _, took in bare], None)
            _line("sandbox: until the ending", whole, ended)
            print(f"  {'child CPU per attempt':34} {statistics.median(cpu) * 1e3:8.2f} ms")
            if ours > WANTED[tier] * fork:
                print(f"  more than the wanted {WANTED[tier]} times the bare fork")


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
