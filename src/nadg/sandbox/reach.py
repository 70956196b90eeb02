"""Makes what tasks need reachable for their own user where a worker started as root keeps it out of reach.

Python may live below a folder that only root may enter (`/root`), and so may the folder of the attempts.
Then the zygote takes a private mount namespace and, in it alone, lays an empty folder over the closed one
with nothing but the needed trees in it: installed files read-only, the attempts' folder writable.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from nadg.domain.errors import SandboxUnavailable
from nadg.sandbox import linux
from nadg.sandbox.layers import privileges

_SAFE: Final = linux.MS_NOSUID | linux.MS_NODEV
_MEND: Final = (
    "install Python where every user can read it (for instance below /opt), "
    "or start the worker as an ordinary user"
)


def make_reachable(uid: int, installed: Sequence[str], attempts_folder: str) -> tuple[str, ...]:
    """Let `uid` reach all these paths; returns the folders that were laid over. Raises SandboxUnavailable."""
    paths = (*installed, attempts_folder)
    closed = [path for path, open_to_all in zip(paths, _reachable_by(uid, paths), strict=True) if not open_to_all]
    if not closed:
        return ()
    covers = {path: _closed_ancestor(path) for path in closed}
    try:
        _lay_over(covers, attempts_folder)
    except OSError as error:
        raise SandboxUnavailable(f"user {uid} cannot reach {closed[0]} ({error}): {_MEND}") from error
    still = [path for path, fine in zip(closed, _reachable_by(uid, closed), strict=True) if not fine]
    if still:
        raise SandboxUnavailable(f"user {uid} cannot read {still[0]}: {_MEND}")
    return tuple(sorted(set(covers.values())))


def _reachable_by(uid: int, paths: Sequence[str]) -> list[bool]:
    """Whether that user could read each path, asked of the kernel by a process of that user."""
    wanted = [(path, os.R_OK | os.X_OK if Path(path).is_dir() else os.R_OK) for path in paths]
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        answers = b""
        try:
            privileges.become(uid)
            answers = b"".join(b"+" if os.access(path, how) else b"-" for path, how in wanted)
        finally:
            os.write(writer, answers)
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        answers = stream.read()
    os.waitpid(pid, 0)
    if len(answers) != len(paths):
        raise SandboxUnavailable(
            f"the worker runs as root but cannot become user {uid}, and nothing is run as root: "
            "set another task_uid, or start the worker as an ordinary user"
        )
    return [answer == ord("+") for answer in answers]


def _closed_ancestor(path: str) -> str:
    """The topmost folder above `path` that others may not enter."""
    for folder in reversed(Path(path).parents):
        if not folder.stat().st_mode & 0o001:
            return str(folder)
    return str(Path(path).parent)


def _lay_over(covers: dict[str, str], attempts_folder: str) -> None:
    """Mount an empty folder over each closed one, then the wanted trees in their old places."""
    linux.unshare(linux.CLONE_NEWNS)
    linux.mount(b"none", b"/", None, linux.MS_REC | linux.MS_PRIVATE)
    wanted = {path: os.open(path, os.O_PATH) for path in covers}
    for folder in sorted(set(covers.values())):
        linux.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", _SAFE, b"mode=0711,size=1m")
    for path, fd in wanted.items():
        _make_mount_point(path, fd)
        linux.mount(b"/proc/self/fd/%d" % fd, os.fsencode(path), None, linux.MS_BIND)
        os.close(fd)
        access = linux.MS_NOEXEC if path == attempts_folder else linux.MS_RDONLY
        linux.mount(b"none", os.fsencode(path), None, linux.MS_REMOUNT | linux.MS_BIND | _SAFE | access)


def _make_mount_point(path: str, fd: int) -> None:
    place = Path(path)
    old_mask = os.umask(0)
    try:
        for folder in reversed(place.parents):
            if not folder.exists():
                folder.mkdir(mode=0o711)
        if os.stat(fd).st_mode & 0o170000 == 0o040000:
            place.mkdir(mode=0o711, exist_ok=True)
        else:
            place.touch(mode=0o444)
    finally:
        os.umask(old_mask)
