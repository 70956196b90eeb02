"""Shared memory: made and sealed in its size by one process, mapped by address in another.

Python's own mmap would keep a descriptor open.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import tempfile
from collections.abc import Iterator
from typing import Final

_PROT_READ_WRITE: Final = 3
_MAP_SHARED: Final = 1


_PYBUF_WRITE: Final = 0x200

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
_view_of = ctypes.pythonapi.PyMemoryView_FromMemory
_view_of.restype = ctypes.py_object
_view_of.argtypes = [ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_int]


def map_shared(fd: int, size: int) -> memoryview:
    """All of a file as writable memory, shared with everyone who maps it; it lasts as long as the process."""
    address = _libc.mmap(None, size, _PROT_READ_WRITE, _MAP_SHARED, fd, 0)
    if address is None or address == ctypes.c_void_p(-1).value:
        code = ctypes.get_errno()
        raise OSError(code, f"mmap: {os.strerror(code)}")
    view: memoryview = _view_of(address, size, _PYBUF_WRITE)
    return view


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
