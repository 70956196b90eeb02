"""Shared memory: made and sealed in its size by one process, mapped in another."""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import tempfile
from collections.abc import Iterator


def map_shared(fd: int, size: int) -> memoryview:
    """All of a file as writable memory, shared with everyone who maps it; it lasts as long as the process.

    The mapping keeps a descriptor of its own: whoever closes all descriptors closes that one too, and may.
    """
    return memoryview(mmap.mmap(fd, size))


@contextlib.contextmanager
def create_memory(head: bytes, size: int) -> Iterator[int]:
    """A descriptor of `size` bytes that begin with `head`, sealed in its size where the system can."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("job", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    else:
        with tempfile.TemporaryFile() as made:
            fd = os.dup(made.fileno())
    try:
        os.ftruncate(fd, size)
        written = 0
        while written < len(head):
            written += os.pwrite(fd, memoryview(head)[written:], written)
        if hasattr(fcntl, "F_ADD_SEALS"):
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
        yield fd
    finally:
        os.close(fd)
