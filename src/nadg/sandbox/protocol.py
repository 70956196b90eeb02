"""Messages between the worker and a zygote: one datagram each over a socket pair.

Worker to zygote: FORK with the descriptors job memory, stdout, stderr, status, then those of large values.
Zygote to worker: READY or FAILED once; per task STARTED (with a pidfd where the system has them) and
EXITED, or REFUSED. Closing the socket ends the zygote and all its tasks.
"""

from __future__ import annotations

import struct
from typing import Final

import msgspec

FORK: Final = struct.Struct("=IQ")
"""Task number, size of the job memory."""
READY: Final = b"R"
FAILED: Final = b"F"
STARTED: Final = struct.Struct("=cII")
"""b"S", task number, process id."""
EXITED: Final = struct.Struct("=cIiddQ")
"""b"X", task number, wait status, user and system seconds, greatest resident bytes."""
REFUSED: Final = struct.Struct("=cI")
"""b"N", task number; then the reason as text."""
MAX_MESSAGE_BYTES: Final = 1 << 16


class ZygoteOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What a zygote is told at its start, on its command line; nothing secret."""

    tier: str
    modules: tuple[str, ...]
    attempts_folder: str
    settings_folder: str
    """Holds caches that tasks may read, such as the font list."""
    task_uid: int | None
    """The user to become; None where the worker itself is an ordinary user."""


class ZygoteFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a zygote says of itself when it is ready."""

    pid: int
    landlock_abi: int
    mapped_bytes: int
    resident_bytes: int
    threads: int
    filter_length: int
    absent_modules: tuple[str, ...] = ()
    private_mounts: tuple[str, ...] = ()
    """Folders that tasks see through a private, read-only view."""
