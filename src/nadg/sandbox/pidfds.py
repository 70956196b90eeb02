"""What a pidfd tells of its process: its number as seen from here, and whether it is dead."""

from __future__ import annotations

import os
import select
from pathlib import Path


def pid_of(pidfd: int) -> int | None:
    """The number of the process as this one sees it; None where it is gone or out of sight. Raises OSError."""
    for line in Path(f"/proc/self/fdinfo/{pidfd}").read_text().splitlines():
        if line.startswith("Pid:"):
            pid = int(line.split()[1])
            return pid if pid > 0 else None
    return None


def is_dead(pidfd: int) -> bool:
    """Whether the process has ended, though nobody may have waited for it yet."""
    poller = select.poll()
    poller.register(pidfd, select.POLLIN)
    return bool(poller.poll(0))


def is_alive(pid: int) -> bool:
    """Whether a process has this number now and has not ended."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        return not is_dead(pidfd)
    finally:
        os.close(pidfd)
