"""Removes what an attempt left: any depth, any names, no links followed, no other file system entered."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path
from typing import Final, NamedTuple

_OPEN: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def is_empty(folder_fd: int) -> bool:
    """Whether an open folder holds nothing."""
    with os.scandir(folder_fd) as entries:
        return next(entries, None) is None


def remove_tree(path: Path) -> None:
    """Remove a folder and all in it; a folder that is not there is no error."""
    with contextlib.suppress(FileNotFoundError):
        empty_folder_at(path)
        path.rmdir()


def empty_folder_at(path: Path) -> None:
    """Remove all in a folder."""
    folder_fd = os.open(path, _OPEN)
    try:
        empty_folder(folder_fd)
    finally:
        os.close(folder_fd)


class _Level(NamedTuple):
    """A folder on the way down: which it is, and its sub-folders that still hold something."""

    identity: tuple[int, int]
    full: list[bytes]


def empty_folder(folder_fd: int) -> None:
    """Remove all in an open folder. Climbs by `..` and checks where that led, so only one folder is open."""
    device = os.fstat(folder_fd).st_dev
    here = os.open(".", _OPEN, dir_fd=folder_fd)
    levels = [_Level(_identity(here), _remove_flat(here, device))]
    try:
        while True:
            if levels[-1].full:
                here = _replace(here, _open_folder(levels[-1].full[-1], here))
                levels.append(_Level(_identity(here), _remove_flat(here, device)))
                continue
            levels.pop()
            if not levels:
                return
            here = _replace(here, os.open("..", _OPEN, dir_fd=here))
            if _identity(here) != levels[-1].identity:
                raise OSError("a folder was moved while its tree was being removed")
            os.rmdir(levels[-1].full.pop(), dir_fd=here)
    finally:
        os.close(here)


def _remove_flat(folder_fd: int, device: int) -> list[bytes]:
    """Remove all files and empty folders here; the names of the folders that hold something.

    Names are read as they come, for there may be very many. What a file system leaves out of a listing that
    changes under it is found by the next.
    """
    while True:
        full, removed = [], 0
        with os.scandir(folder_fd) as entries:
            for entry in entries:
                name = os.fsencode(entry.name)
                if _remove_one(name, folder_fd, device):
                    removed += 1
                else:
                    full.append(name)
        if not removed:
            return full


def _remove_one(name: bytes, folder_fd: int, device: int) -> bool:
    """Remove a file or an empty folder; False where it is a folder that holds something."""
    found = os.stat(name, dir_fd=folder_fd, follow_symlinks=False)
    if not stat.S_ISDIR(found.st_mode):
        os.unlink(name, dir_fd=folder_fd)
        return True
    if found.st_dev != device:
        raise OSError(f"{os.fsdecode(name)} is on another file system; it is left alone")
    try:
        os.rmdir(name, dir_fd=folder_fd)
    except OSError:
        return False
    return True


def _open_folder(name: bytes, folder_fd: int) -> int:
    try:
        return os.open(name, _OPEN, dir_fd=folder_fd)
    except PermissionError:
        os.chmod(name, 0o700, dir_fd=folder_fd)  # made without rights for its owner
        return os.open(name, _OPEN, dir_fd=folder_fd)


def _replace(old: int, new: int) -> int:
    os.close(old)
    return new


def _identity(fd: int) -> tuple[int, int]:
    found = os.fstat(fd)
    return found.st_dev, found.st_ino
