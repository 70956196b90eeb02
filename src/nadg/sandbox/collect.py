"""Takes the files that an attempt made into the blob store, trusting none of them.

The attempt is over: every process of it is dead. Links are never followed, opening never blocks, and only regular
files with one name count. Number and sizes are looked at first, before anything is read: what breaks a limit costs
no more than that look. What is left out is noted.
"""

from __future__ import annotations

import contextlib
import hashlib
import heapq
import itertools
import os
import stat
from collections.abc import Callable, Generator, Iterator
from typing import Final, NamedTuple

from nadg.domain.blob import BlobRef, Blobs, FileRef
from nadg.domain.errors import BlobRefused
from nadg.domain.file_names import name_of_bytes
from nadg.domain.limits import Limits
from nadg.sandbox.contract import size_text
from nadg.sandbox.walk import MAX_NAME_BYTES, Found, Notes, walk

_MAX_OTHERS: Final = 10_000
"""Folders, links and the like that are looked at beside twice as many as there may be files."""
_CHUNK: Final = 1 << 20
_SORTED_AT_ONCE: Final = 1000
"""Sorting holds up every thread of the process: so many names take less than a millisecond."""
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class LimitReached(Exception):
    """More files or bytes than the attempt may give; the message names the limit."""


class Stopped(Exception):
    """The collection was called off."""


class Collected(NamedTuple):
    """What was taken, sorted by name, and what was not and why."""

    files: tuple[FileRef, ...]
    notes: tuple[str, ...]


def _never() -> bool:
    return False


def collect(folder_fd: int, blobs: Blobs, limits: Limits, is_off: Callable[[], bool] = _never) -> Collected:
    """Store every acceptable file below an open folder.

    Raises LimitReached, Stopped soon after `is_off` becomes true, and OSError of the store.
    """
    device = os.fstat(folder_fd).st_dev
    check_limits(folder_fd, limits, is_off)
    notes = Notes()
    slices: list[list[FileRef]] = [[]]
    room, files = limits.artifact_bytes, 0
    for found in _each(folder_fd, notes, is_off):
        fd = _open_acceptable(found, device, notes)
        if fd is None:
            continue
        try:
            blob = _store(fd, blobs, room, is_off)
        except BlobRefused:
            notes.add(found.name, "it changed while it was read")
            continue
        finally:
            os.close(fd)
        room, files = room - blob.size, files + 1
        if room < 0 or files > limits.artifact_count:
            raise LimitReached("the files became more while they were collected")
        file = FileRef(name=name_of_bytes(found.name), blob=blob)
        if len(slices[-1]) >= _SORTED_AT_ONCE:
            slices.append([])
        slices[-1].append(file)
    return Collected(_sorted(slices), notes.all())


def _sorted(slices: list[list[FileRef]]) -> tuple[FileRef, ...]:
    for one in slices:
        one.sort(key=_name_of)
    merged = heapq.merge(*slices, key=_name_of)
    return tuple(next(same) for _, same in itertools.groupby(merged, _name_of))  # a moved file is met again


def _name_of(file: FileRef) -> str:
    return file.name


def _each(folder_fd: int, notes: Notes, is_off: Callable[[], bool]) -> Generator[Found, None, None]:
    with contextlib.closing(walk(folder_fd, notes)) as entries:
        for found in entries:
            if is_off():
                raise Stopped
            yield found


def check_limits(folder_fd: int, limits: Limits, is_off: Callable[[], bool] = _never) -> None:
    """Count and measure, and read nothing. Raises LimitReached at the first entry that is too much."""
    files, others, room = 0, 0, limits.artifact_bytes
    with contextlib.closing(_each(folder_fd, Notes(), is_off)) as entries:
        for found in entries:
            size = _size_of(found)
            if size is None:
                others += 1
            else:
                files, room = files + 1, room - size
            if files > limits.artifact_count or others > 2 * limits.artifact_count + _MAX_OTHERS:
                beside = "" if size is not None else f" by {others} folders and other things that are no files"
                raise LimitReached(f"artifact limit of {limits.artifact_count} files reached{beside}")
            if room < 0:
                raise LimitReached(f"artifact limit of {size_text(limits.artifact_bytes)} reached")


def _size_of(found: Found) -> int | None:
    """The size of a file; None for everything that will not be collected."""
    if found.leaf is None or len(found.name) > MAX_NAME_BYTES:
        return None
    try:
        seen = os.stat(found.leaf, dir_fd=found.folder_fd, follow_symlinks=False)
    except OSError:
        return None
    return seen.st_size if stat.S_ISREG(seen.st_mode) and seen.st_nlink == 1 else None


def _open_acceptable(found: Found, device: int, notes: Notes) -> int | None:
    """The file, open, where it is a regular one with one name on the same device; else a note."""
    if found.leaf is None:
        return None
    if len(found.name) > MAX_NAME_BYTES:
        notes.add(found.name, f"its name is longer than {MAX_NAME_BYTES} bytes")
        return None
    try:
        seen = os.stat(found.leaf, dir_fd=found.folder_fd, follow_symlinks=False)
        if not stat.S_ISREG(seen.st_mode):
            notes.add(found.name, "it is not a regular file")
            return None
        fd = os.open(found.leaf, _FILE, dir_fd=found.folder_fd)
    except OSError as error:
        notes.add(found.name, f"it cannot be opened ({error.strerror})")
        return None
    opened = os.fstat(fd)
    if stat.S_ISREG(opened.st_mode) and opened.st_nlink == 1 and opened.st_dev == device:
        return fd
    os.close(fd)
    notes.add(found.name, "it has a second name or is on another device")
    return None


def _store(fd: int, blobs: Blobs, room: int, is_off: Callable[[], bool]) -> BlobRef:
    """Copy a file into the store, or only hash it where the store has it or it has no room.

    Raises BlobRefused where the second reading does not give what the first one gave.
    """
    digest = hashlib.sha256()
    size = 0
    for piece in _pieces(fd, room + 1, is_off):
        digest.update(piece)
        size += len(piece)
    name = digest.hexdigest()
    if size > room or blobs.has(name):
        return BlobRef(sha256=name, size=size)
    writer = blobs.create()
    try:
        for piece in _pieces(fd, size, is_off):
            writer.write(piece)
        return writer.commit(name)
    finally:
        writer.abort()


def _pieces(fd: int, most: int, is_off: Callable[[], bool]) -> Iterator[bytes]:
    """What a file holds, up to so many bytes: one that grows has no end."""
    position = 0
    while piece := os.pread(fd, min(_CHUNK, most - position), position):
        if is_off():
            raise Stopped
        yield piece
        position += len(piece)
