"""Resource limits that the kernel keeps per process."""

from __future__ import annotations

import math
import resource
import sys
from typing import Final

from nadg.sandbox.job import Bounds

_REPORTING_BYTES: Final = 32 << 20
"""Kept back from the code, so that there is memory left to tell that memory ran out."""


def limit_all_tasks() -> None:
    """Those that are the same for every attempt; set once, inherited: no core dumps, no locked memory."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))


def limit_threads(threads: int) -> None:
    """As many threads, the first one included; binds only where the user namespace is the task's own."""
    resource.setrlimit(resource.RLIMIT_NPROC, (threads, threads))


def limit_task(bounds: Bounds, mapped_bytes: int) -> None:
    """Limit this process; `mapped_bytes` of address space were there before and are not counted."""
    if sys.platform == "linux":
        memory = mapped_bytes + (bounds.memory_megabytes << 20)
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory + _REPORTING_BYTES))
    seconds = math.ceil(bounds.cpu_seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (bounds.artifact_bytes, bounds.artifact_bytes))
    resource.setrlimit(resource.RLIMIT_NOFILE, (bounds.open_files, bounds.open_files))


def release_reserve() -> None:
    """Give the code's last words the memory that was kept back for them."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
