"""Where a worker may make cgroups (version 2): whether its own was delegated to it, and how it is made ready.

A group that hands controllers down may hold no processes itself, so the worker's own first move into a leaf.
That is done only where all of them are this worker's; they stay there, and the leaf goes with the group around it.
"""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path, PurePosixPath
from typing import Final

import msgspec

LEAF: Final = "nadg-worker"
CONTROLLERS: Final = ("memory", "pids")
"""Those that bound an attempt; one of them is enough."""
_ESCAPED: Final = re.compile(r"\\([0-7]{3})")


class NotDelegated(Exception):
    """Why there will be no groups."""


class GroupFiles:
    """The few things that are done to groups, each one call to the kernel."""

    def make(self, group: Path) -> None:
        """Raises FileExistsError where it is there."""
        group.mkdir(mode=0o755)

    def write(self, group: Path, name: str, text: str) -> None:
        """Into a file that the kernel gave the group; one that waits for nothing, where it can be had."""
        fd = os.open(group / name, os.O_WRONLY | os.O_TRUNC | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            os.write(fd, text.encode())
        finally:
            os.close(fd)

    def read(self, group: Path, name: str) -> str:
        return (group / name).read_text()

    def remove(self, group: Path) -> None:
        """Raises OSError where something lives in it."""
        group.rmdir()


class Home(msgspec.Struct, frozen=True, kw_only=True):
    """A group in which the worker may make others."""

    folder: Path
    controllers: tuple[str, ...]
    own_pids: tuple[int, ...] = ()
    """The worker's processes that have to leave it first."""


def own_group(cgroup: str, mountinfo: str) -> Path:
    """The folder of the group that `/proc/self/cgroup` names. Raises NotDelegated where no mount shows it."""
    path = next((line[3:] for line in cgroup.splitlines() if line.startswith("0::")), None)
    if path is None:
        raise NotDelegated("this system has no cgroup version 2")
    if ".." in path.split("/"):
        raise NotDelegated("this process is not in the cgroups that it sees")
    for line in mountinfo.splitlines():
        fields, _, kind = line.partition(" - ")
        if kind.startswith("cgroup2 "):
            shown, mounted = (PurePosixPath(_unescaped(field)) for field in fields.split()[3:5])
            if PurePosixPath(path).is_relative_to(shown):
                return Path(mounted / PurePosixPath(path).relative_to(shown))
    raise NotDelegated("no mount shows this process's own cgroup")


def _unescaped(field: str) -> str:
    return _ESCAPED.sub(lambda found: chr(int(found[1], 8)), field)


def find_home(root: Path = Path("/")) -> Home:
    """Where groups may be made; files are read below `root`. Changes nothing. Raises NotDelegated."""
    process = root / "proc/self"
    group = root / str(own_group(_text(process / "cgroup"), _text(process / "mountinfo"))).lstrip("/")
    is_leaf = group.name == LEAF
    home = group.parent if is_leaf else group
    needed = (home, home / "cgroup.procs", home / "cgroup.subtree_control")
    if not all(os.access(path, os.W_OK) for path in needed):
        raise NotDelegated("this process's cgroup is not delegated to it")
    offered = _text(home / "cgroup.controllers").split()
    controllers = tuple(name for name in CONTROLLERS if name in offered)
    if not controllers:
        raise NotDelegated("this process's cgroup has neither the memory nor the pids controller")
    pids = tuple(int(word) for word in _text(home / "cgroup.procs").split())
    if any(not _is_own(pid, root) for pid in pids):
        raise NotDelegated("this process's cgroup holds processes that are not this worker's")
    return Home(folder=home, controllers=controllers, own_pids=pids)


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _is_own(pid: int, root: Path) -> bool:
    """Whether it is this process or came from it; 0 stands for one that cannot be seen from here."""
    seen: set[int] = set()
    while pid > 0 and pid not in seen:
        if pid == os.getpid():
            return True
        seen.add(pid)
        pid = _parent(_text(root / f"proc/{pid}/stat"))
    return False


def _parent(stat: str) -> int:
    """From `/proc/PID/stat`, whose second field is a name in brackets with anything in it; 0 for none."""
    words = stat.rpartition(")")[2].split()
    return int(words[1]) if len(words) > 1 else 0


def settle(home: Home, files: GroupFiles) -> None:
    """Move the worker's processes into the leaf and let groups below have the controllers. Raises OSError."""
    leaf = home.folder / LEAF
    if home.own_pids:
        with contextlib.suppress(FileExistsError):
            files.make(leaf)
        _move(home.own_pids, leaf, files)
    try:
        hand_down(home.folder, home.controllers, files)
    except OSError:
        _move(home.own_pids, home.folder, files)
        with contextlib.suppress(OSError):
            files.remove(leaf)
        raise


def _move(pids: tuple[int, ...], group: Path, files: GroupFiles) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):  # it has ended
            files.write(group, "cgroup.procs", str(pid))


def hand_down(group: Path, controllers: tuple[str, ...], files: GroupFiles) -> None:
    """Let the groups below have these controllers; nothing is written where they have them."""
    given = files.read(group, "cgroup.subtree_control").split()
    missing = [name for name in controllers if name not in given]
    if missing:
        files.write(group, "cgroup.subtree_control", " ".join(f"+{name}" for name in missing))
