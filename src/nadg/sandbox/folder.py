"""The private folder of one sandbox: locked while the sandbox lives, so that a later one can clear away the dead.

A worker that is killed leaves its folder behind. Whoever opens a sandbox below the same root removes every
folder whose lock is free; a lock over the root keeps two from doing so at once.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from nadg.domain.errors import SandboxUnavailable
from nadg.sandbox.remove import remove_tree

_PREFIX: Final = "sandbox-"
_PARTS: Final = ("attempts", "attempts/lanes", "given", "given/here", "settings", "root")


class SandboxFolder:
    """The parts of a sandbox on disk, below `path`.

    `attempts/lanes` has one folder for each attempt under way, `settings` holds caches that tasks may read, and
    `root` is an empty place on which a zygote puts its own root together. Where a task has namespaces of its own,
    `given/here` is where it sees what it was given.
    """

    def __init__(self, root: Path, task_uid: int | None) -> None:
        root.mkdir(parents=True, exist_ok=True)
        with locked(root):
            for stale in root.glob(f"{_PREFIX}*"):
                _remove_if_dead(stale)
            self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=root)).resolve()
            self._lock = lock_folder(self.path)
        parts = [
            self.path / name for name in ("attempts", "attempts/lanes", "given", "given/here", "settings", "root")
        ]
        try:
            for part in parts:
                part.mkdir(mode=0o700)
            if task_uid is not None:
                _give(task_uid, self.path, *parts)
        except BaseException:
            self.remove()
            raise

    def remove(self) -> None:
        """Remove it with all that is left in it."""
        remove_tree(self.path)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _give(uid: int, *paths: Path) -> None:
    try:
        for path in paths:
            os.chown(path, uid, uid)
    except OSError as error:
        raise SandboxUnavailable(
            f"the worker runs as root but cannot give a folder to user {uid} ({error}), and nothing is run as "
            "root: set another task_uid, or start the worker as an ordinary user"
        ) from error


def lock_folder(folder: Path) -> int | None:
    """The open, locked folder; None where someone else holds the lock."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    return fd


@contextlib.contextmanager
def locked(root: Path) -> Iterator[None]:
    """Hold the lock over a folder in which others are made and cleared away."""
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _remove_if_dead(folder: Path) -> None:
    """Remove a folder that no living sandbox holds; one of another user is left alone."""
    with contextlib.suppress(OSError):
        fd = lock_folder(folder)
        if fd is not None:
            try:
                remove_tree(folder)
            finally:
                os.close(fd)
