"""What a worker has of the machine: processes, descriptors, memory, files; and what is left when it is gone."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Collection, Iterable
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec
import psutil

from nadg.sandbox.child import MAX_RULESETS

PR_SET_CHILD_SUBREAPER = 36
SHARED_FOLDERS = ("/tmp", "/var/tmp", "/dev/shm")
Found = TypeVar("Found")


class Footprint(msgspec.Struct, frozen=True, kw_only=True):
    """Counts at one moment."""

    processes: int
    """The worker, its warm processes and all below them."""
    strays: int
    """Processes of the worker's that lost their parent and live."""
    descriptors: int
    """Of the worker."""
    warm_descriptors: int
    """Of the processes below it, together."""
    entries: int
    """Files and folders below the sandbox's folder."""
    incoming: int
    """Files half written in the blob folder."""
    resident_bytes: int
    """Of the worker."""
    warm_resident_bytes: int
    """Of the processes below it, together; pages they share count for each."""

    def grown(self, before: Footprint) -> list[str]:
        """Which counts are higher than before; memory is not among them, since it is never quite the same.

        A warm process keeps some lists of files on purpose, and what waits in it inherits them.
        """
        names = ("processes", "strays", "descriptors", "warm_descriptors", "entries", "incoming")
        pairs = [(name, getattr(before, name), getattr(self, name)) for name in names]
        kept = {"warm_descriptors": MAX_RULESETS * self.processes}
        return [
            f"{name.replace('_', ' ')}: {old} became {new}"
            for name, old, new in pairs
            if new > old + kept.get(name, 0)
        ]


def adopt_orphans() -> None:
    """Make this process the parent of all below it that lose theirs, so that none gets out of sight."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def take_footprint(worker: int, root: Path, known: Collection[int] = ()) -> Footprint:
    """Of the worker process with its folder; children of this process that are `known` are no strays."""
    process = psutil.Process(worker)
    below = process.children(recursive=True)
    return Footprint(
        processes=1 + len(below),
        strays=len(strays({worker, *known})),
        descriptors=process.num_fds(),
        warm_descriptors=sum(_seen(one.num_fds, 0) for one in below),
        entries=_count(root / "sandbox"),
        incoming=_count(root / "blobs" / "incoming"),
        resident_bytes=process.memory_info().rss,
        warm_resident_bytes=sum(_seen(partial(_resident_bytes, one), 0) for one in below),
    )


def strays(known: Collection[int]) -> list[str]:
    """Live processes below this one that are neither `known` nor below a known one. The dead are reaped."""
    found: list[str] = []
    for child in psutil.Process().children():
        if child.pid in known:
            continue
        if _seen(child.status, psutil.STATUS_ZOMBIE) == psutil.STATUS_ZOMBIE:
            os.waitpid(child.pid, os.WNOHANG)
        else:
            found.append(describe(child))
    return found


def left_behind(root: Path, task_user: int | None) -> list[str]:
    """Everything of a worker that should be gone with it."""
    found = [f"process {one}" for one in strays(())]
    found += [f"file {path}" for folder in ("sandbox", "blobs/incoming") for path in _below(root / folder)]
    if task_user is not None:
        found += [f"process {describe(one)}" for one in psutil.process_iter() if _is_of(one, task_user)]
        shared = (path for folder in SHARED_FOLDERS for path in _below(Path(folder), deep=False))
        found += [f"file {path}" for path in shared if _seen(partial(_owner, path), 0) == task_user]
    return found


def describe(process: psutil.Process) -> str:
    """For people: its id, name and user."""
    return f"{process.pid} ({_seen(process.name, 'gone')}, user {_seen(lambda: process.uids().real, -1)})"


def _is_of(process: psutil.Process, user: int) -> bool:
    nobody: tuple[int, ...] = ()
    return user in _seen(lambda: tuple(process.uids()), nobody)


def _resident_bytes(process: psutil.Process) -> int:
    return int(process.memory_info().rss)


def _owner(path: Path) -> int:
    return path.lstat().st_uid


def _count(folder: Path) -> int:
    return sum(1 for _ in _below(folder))


def _below(folder: Path, *, deep: bool = True) -> Iterable[Path]:
    """What is in a folder; it may go away meanwhile."""
    names: list[str] = []
    for place, folders, files in os.walk(folder):
        names += [os.path.join(place, name) for name in (*folders, *files)]  # noqa: PTH118 - names of any depth
        if not deep:
            break
    return map(Path, names)


def _seen(look: Callable[[], Found], gone: Found) -> Found:
    """What a look at something gives that may be gone, or hidden from this user."""
    try:
        return look()
    except (psutil.Error, OSError):
        return gone
