"""Shared memory by address, without keeping a descriptor open as Python's own mmap does."""

from __future__ import annotations

import ctypes
import os
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
