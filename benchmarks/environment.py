"""What a figure was measured on: printed by every benchmark before its figures."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path


def print_environment(*packages: str) -> None:
    """One line on the machine, one on the software."""
    print(f"machine: {_processor()}, {os.cpu_count()} cores, {_memory_gibibytes()} GiB, {platform.platform()}")
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in packages)
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    print(f"software: Python {platform.python_version()}{', ' if versions else ''}{versions}; load {load}")


def spread(values: Sequence[float], unit: str) -> str:
    """`median (minimum to maximum)` of repeated measurements."""
    return f"{statistics.median(values):.4g} {unit} ({min(values):.4g} to {max(values):.4g}, n={len(values)})"


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` (0 to 1) of the values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else ():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def _memory_gibibytes() -> int:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)
