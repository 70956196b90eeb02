"""What a worker's owner decides about its sandbox."""

from __future__ import annotations

import sys
from typing import Final

import msgspec

from nadg.domain.limits import Limits
from nadg.domain.tier import Tier

GENEROUS: Final = Limits(
    wall_seconds=86_400,
    cpu_seconds=86_400,
    memory_megabytes=1_048_576,
    output_bytes=1 << 30,
    result_bytes=1 << 30,
    artifact_bytes=1 << 40,
    artifact_count=1_000_000,
    open_files=65_536,
    threads=4096,
)
"""No stricter than what a plan may ask for."""

TASK_UID: Final = 61_184
"""First of the range that systemd leaves for dynamic users, so that no person or service has it."""


def _default_zygotes() -> dict[str, tuple[str, ...]]:
    return {"lean": (), "data": ("numpy", "pandas", "matplotlib.pyplot", "PIL.Image")}


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """How attempts are isolated and what they may use at most."""

    tier: Tier | None = None
    """None: the best tier that the probe proves on this host, never `none` unless `allow_none` is set."""
    allow_none: bool = False
    """Run without isolation where the host offers none; for one's own code only."""
    caps: Limits = GENEROUS
    """An attempt gets the smaller of its own limits and these."""
    zygotes: dict[str, tuple[str, ...]] = msgspec.field(default_factory=_default_zygotes)
    """Warm processes, name to the modules they hold ready; the first is the default one."""
    task_uid: int = TASK_UID
    """User and group id of the confined code where the worker is started as root; else it keeps the worker's."""
    forked_ahead: int = 1 if sys.platform == "linux" else 0
    """Processes of each warm zygote that wait for a job, so that the fork is not in the way of an attempt."""
    recycle_after: int = 20_000
    """Attempts after which a warm process is replaced, since its children share its address layout."""
    start_seconds: float = 120
    """How long a warm process may take to load its modules."""
    warm_idle_seconds: float = 2
    """The warm processes beside the first are started when they are needed, or when the worker had nothing to
    do after so long."""
