"""A walk through a folder that an attempt left: any depth, any names, any number of them, no link followed.

Entries are read as they come, in no order: neither a folder's names nor the tree stand in memory, and a walk that
is given up has read no further. Nothing here reads a file. What cannot be entered is noted.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from typing import Final, NamedTuple

from nadg.domain.file_names import name_of_bytes, shown_name

MAX_DEPTH: Final = 64
MAX_NAME_BYTES: Final = 1024
_MAX_NOTES: Final = 20
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Found(NamedTuple):
    """An entry that is no folder, or a folder that is not entered (`leaf` is None: only counted)."""

    name: bytes
    folder_fd: int
    leaf: bytes | None


class Notes:
    """A bounded list of remarks on files, a line each whatever the files are called."""

    def __init__(self) -> None:
        self._notes: list[str] = []
        self._more = 0

    def add(self, name: bytes, remark: str) -> None:
        if len(self._notes) < _MAX_NOTES:
            self._notes.append(f"{shown_name(name_of_bytes(name))}: not collected, {remark}")
        else:
            self._more += 1

    def all(self) -> tuple[str, ...]:
        rest = (f"{self._more} more files or folders were not collected",) if self._more else ()
        return (*sorted(self._notes), *rest)


class _Level(NamedTuple):
    """An open folder on the way down, and the names of its folders that are still to be entered."""

    fd: int
    prefix: bytes
    folders: list[bytes]


def walk(folder_fd: int, notes: Notes) -> Generator[Found, None, None]:
    """Every entry below an open folder; close the iterator where it is not read to its end."""
    levels: list[_Level] = [_Level(os.dup(folder_fd), b"", [])]
    try:
        yield from _entries(levels[0], notes)
        while levels:
            here = levels[-1]
            if not here.folders:
                os.close(levels.pop().fd)
                continue
            deeper = _enter(here, here.folders.pop(), len(levels), notes)
            if deeper is not None:
                levels.append(deeper)
                yield from _entries(deeper, notes)
    finally:
        for level in levels:
            os.close(level.fd)


def _entries(here: _Level, notes: Notes) -> Iterator[Found]:
    """What stands in one folder: folders are kept for later, everything else is given at once."""
    with os.scandir(here.fd) as entries:
        for entry in entries:
            leaf = os.fsencode(entry.name)
            try:
                is_folder = entry.is_dir(follow_symlinks=False)
            except OSError as error:
                notes.add(here.prefix + leaf, _reason(error))
                continue
            if is_folder:
                here.folders.append(leaf)
            yield Found(here.prefix + leaf, here.fd, None if is_folder else leaf)


def _enter(here: _Level, leaf: bytes, depth: int, notes: Notes) -> _Level | None:
    name = here.prefix + leaf
    if depth >= MAX_DEPTH or len(name) > MAX_NAME_BYTES:
        notes.add(name, f"folders nest deeper than {MAX_DEPTH} or names are longer than {MAX_NAME_BYTES} bytes")
        return None
    try:
        fd = os.open(leaf, _FOLDER, dir_fd=here.fd)
    except OSError as error:
        notes.add(name, _reason(error))
        return None
    if os.fstat(fd).st_dev == os.fstat(here.fd).st_dev:
        return _Level(fd, name + b"/", [])
    os.close(fd)
    notes.add(name, "it is on another file system")
    return None


def _reason(error: OSError) -> str:
    return f"it cannot be opened ({error.strerror})"
