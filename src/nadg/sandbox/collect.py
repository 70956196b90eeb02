"""Takes the files that an attempt made into the blob store, trusting none of them.

The attempt is over: every process of it is dead. The folder is walked from its descriptor, links are never
followed, opening never blocks, and only regular files with one name count. What is left out is noted.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Iterator
from typing import Final, NamedTuple

from nadg.domain.blob import BlobRef, Blobs, FileRef
from nadg.domain.limits import Limits
from nadg.sandbox.contract import size_text

_MAX_DEPTH: Final = 64
_MAX_NAME_BYTES: Final = 1024
_MAX_NOTES: Final = 20
_CHUNK: Final = 1 << 20
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class LimitReached(Exception):
    """More files or bytes than the attempt may give; the message names the limit."""


class Collected(NamedTuple):
    """What was taken, by name, and what was not and why."""

    files: tuple[FileRef, ...]
    notes: tuple[str, ...]


class _Found(NamedTuple):
    name: bytes
    folder_fd: int
    leaf: bytes


def shown_name(raw: bytes) -> str:
    """A file name as text; bytes that are no UTF-8 become `\\xNN`."""
    return raw.decode("utf-8", "backslashreplace")


def collect(folder_fd: int, blobs: Blobs, limits: Limits) -> Collected:
    """Store every acceptable file below an open folder. Raises LimitReached, and OSError of the store."""
    notes = _Notes()
    files: dict[str, FileRef] = {}
    room = limits.artifact_bytes
    for found in _walk(folder_fd, notes):
        name = shown_name(found.name)
        fd = _open_acceptable(found, name, os.fstat(folder_fd).st_dev, notes)
        if fd is None:
            continue
        with contextlib.closing(_Descriptor(fd)):
            if name in files:
                notes.add(f"{name}: not collected, another file's name reads the same")
                continue
            if len(files) >= limits.artifact_count:
                raise LimitReached(f"artifact limit of {limits.artifact_count} files reached")
            room -= os.fstat(fd).st_size
            if room < 0:
                raise LimitReached(f"artifact limit of {size_text(limits.artifact_bytes)} reached")
            files[name] = FileRef(name=name, blob=_store(fd, blobs))
    return Collected(tuple(files[name] for name in sorted(files)), notes.all())


def _walk(folder_fd: int, notes: _Notes) -> Iterator[_Found]:
    """Every entry that is no folder, depth first; each comes with its folder open."""
    stack: list[tuple[int, bytes, Iterator[bytes]]] = []
    try:
        stack.append((os.dup(folder_fd), b"", _names(folder_fd)))
        while stack:
            here, prefix, names = stack[-1]
            leaf = next(names, None)
            if leaf is None:
                os.close(stack.pop()[0])
                continue
            name = prefix + leaf
            if not stat.S_ISDIR(os.stat(leaf, dir_fd=here, follow_symlinks=False).st_mode):
                yield _Found(name, here, leaf)
            elif len(stack) >= _MAX_DEPTH or len(name) > _MAX_NAME_BYTES:
                notes.add(f"{shown_name(name)[:80]}: not collected, folders nest deeper than {_MAX_DEPTH}")
            else:
                deeper = _enter(here, leaf, name, notes)
                if deeper is not None:
                    stack.append((deeper, name + b"/", _names(deeper)))
    finally:
        for fd, _, _ in stack:
            os.close(fd)


def _names(folder_fd: int) -> Iterator[bytes]:
    return iter(sorted(os.fsencode(name) for name in os.listdir(folder_fd)))


def _enter(here: int, leaf: bytes, name: bytes, notes: _Notes) -> int | None:
    try:
        deeper = os.open(leaf, _FOLDER, dir_fd=here)
    except OSError as error:
        notes.add(f"{shown_name(name)}: not collected ({error.strerror})")
        return None
    if os.fstat(deeper).st_dev != os.fstat(here).st_dev:
        os.close(deeper)
        notes.add(f"{shown_name(name)}: not collected, it is on another file system")
        return None
    return deeper


def _open_acceptable(found: _Found, name: str, device: int, notes: _Notes) -> int | None:
    """The file, open, where it is a regular one with one name on the same device; else a note."""
    if len(found.name) > _MAX_NAME_BYTES:
        notes.add(f"{name[:80]}...: not collected, its name is longer than {_MAX_NAME_BYTES} bytes")
        return None
    seen = os.stat(found.leaf, dir_fd=found.folder_fd, follow_symlinks=False)
    if not stat.S_ISREG(seen.st_mode):
        notes.add(f"{name}: not collected, it is not a regular file")
        return None
    try:
        fd = os.open(found.leaf, _FILE, dir_fd=found.folder_fd)
    except OSError as error:
        notes.add(f"{name}: not collected ({error.strerror})")
        return None
    opened = os.fstat(fd)
    if stat.S_ISREG(opened.st_mode) and opened.st_nlink == 1 and opened.st_dev == device:
        return fd
    os.close(fd)
    notes.add(f"{name}: not collected, it has a second name or is on another device")
    return None


def _store(fd: int, blobs: Blobs) -> BlobRef:
    """Copy a file into the store, or only hash it where the store has it."""
    digest = hashlib.sha256()
    size = 0
    while piece := os.pread(fd, _CHUNK, size):
        digest.update(piece)
        size += len(piece)
    name = digest.hexdigest()
    if blobs.has(name):
        return BlobRef(sha256=name, size=size)
    writer = blobs.create()
    try:
        position = 0
        while piece := os.pread(fd, _CHUNK, position):
            writer.write(piece)
            position += len(piece)
        return writer.commit(name)
    finally:
        writer.abort()


class _Descriptor:
    def __init__(self, fd: int) -> None:
        self._fd = fd

    def close(self) -> None:
        os.close(self._fd)


class _Notes:
    """A bounded list of remarks."""

    def __init__(self) -> None:
        self._notes: list[str] = []
        self._more = 0

    def add(self, note: str) -> None:
        if len(self._notes) < _MAX_NOTES:
            self._notes.append(note)
        else:
            self._more += 1

    def all(self) -> tuple[str, ...]:
        rest = (f"{self._more} more files were not collected",) if self._more else ()
        return (*self._notes, *rest)
