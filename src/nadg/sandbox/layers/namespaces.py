"""Namespaces of their own for the zygote and, inside these, for every task; no privilege is needed for them.

The zygote takes user, pid, mount, net, ipc and uts namespaces and a root that holds nothing but Python, its
libraries and the attempts. A task takes user, pid, mount, ipc and uts namespaces inside those, and a work
folder in memory whose size and number of files the kernel bounds. The network namespace, in which not even
loopback is up, is shared by the tasks of one zygote: one for each would cost as much again as the fork, and
no task can make a socket anyway.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from nadg.sandbox import linux
from nadg.sandbox.job import SPARE_BYTES, SPARE_FILES
from nadg.sandbox.layers import privileges
from nadg.sandbox.layers.syscalls import Machine
from nadg.sandbox.readable import Readable

_OF_TASKS: Final = linux.CLONE_NEWUSER | linux.CLONE_NEWNS | linux.CLONE_NEWIPC | linux.CLONE_NEWUTS
_OF_ZYGOTE: Final = linux.CLONE_NEWNS | linux.CLONE_NEWNET | linux.CLONE_NEWIPC | linux.CLONE_NEWUTS
_SEALED: Final = linux.MOUNT_ATTR_RDONLY | linux.MOUNT_ATTR_NOSUID
_WORK_FLAGS: Final = linux.MS_NOSUID | linux.MS_NODEV | linux.MS_NOEXEC
HOST_NAME: Final = "task"


def root_of(folder: str) -> str:
    """Where the zygote's own root is put together."""
    return f"{folder}/root"


def enter_for_zygote() -> None:
    """Go on as the first process of new namespaces; the old process waits for the new one and ends like it.

    Whatever ends the first process of a pid namespace ends all others in it.
    """
    user = _Ids()
    linux.unshare(linux.CLONE_NEWUSER | linux.CLONE_NEWPID)
    proc = _open_proc()
    user.map_in(proc)
    os.close(proc)
    privileges.end_with_parent()
    inner = os.fork()
    if inner:
        os.closerange(3, 1 << 16)  # the worker shall see the control socket close when the new one ends
        _, status = os.waitpid(inner, 0)
        os._exit(min(abs(os.waitstatus_to_exitcode(status)), 255))
    privileges.end_with_parent()
    linux.unshare(_OF_ZYGOTE)
    linux.set_host_name(HOST_NAME)


def enter_private_root(paths: Readable, devices: Sequence[str], folder: str, machine: Machine) -> None:
    """Leave all of the file tree behind but the given paths, read-only, and the sandbox's folder."""
    root = root_of(folder)
    linux.mount(b"none", b"/", None, linux.MS_REC | linux.MS_PRIVATE)
    linux.mount(b"root", os.fsencode(root), b"tmpfs", linux.MS_NOSUID | linux.MS_NODEV, b"mode=0755,size=1m")
    number = machine.numbers["mount_setattr"]
    for path in sorted({*paths.whole, *devices}):
        no_devices = 0 if path.startswith("/dev/") else linux.MOUNT_ATTR_NODEV
        _bring(path, root, _SEALED | no_devices, number)
    _bring(folder, root, _SEALED | linux.MOUNT_ATTR_NODEV | linux.MOUNT_ATTR_NOEXEC, number)
    for path in paths.listed:
        Path(root + path).mkdir(parents=True, exist_ok=True)
    for link, target in paths.links:
        _link(root + link, target)
    os.chdir(root)
    linux.pivot_root_here(machine.numbers["pivot_root"])
    linux.set_mount_attributes(number, "/", linux.MOUNT_ATTR_RDONLY, recursive=False)


def _bring(path: str, root: str, attributes: int, number: int) -> None:
    """Bind a tree, with whatever is mounted in it, to its place below the new root."""
    place = Path(root + path)
    place.parent.mkdir(parents=True, exist_ok=True)
    if Path(path).is_dir():
        place.mkdir(exist_ok=True)
    else:
        place.touch()
    linux.mount(os.fsencode(path), os.fsencode(place), None, linux.MS_BIND | linux.MS_REC)
    linux.set_mount_attributes(number, str(place), attributes, recursive=True)


def _link(link: str, target: str) -> None:
    """Make a symbolic link where nothing else stands."""
    if not os.path.lexists(link):
        Path(link).parent.mkdir(parents=True, exist_ok=True)
        Path(link).symlink_to(target)


class TaskNamespaces:
    """What a zygote keeps ready for its tasks' namespaces; made before its root is left behind.

    Every task sees its folders in the same places: `work` and `tmp` in memory, over the lanes, so that nobody
    else's are to be seen; and what it was given, which it cannot write.
    """

    def __init__(self, folder: str) -> None:
        self.work, self.tmp = f"{folder}/attempts/lanes/work", f"{folder}/attempts/lanes/tmp"
        self.writable, self.readable = f"{folder}/attempts", f"{folder}/given"
        """Landlock looks at the folder above a mount, not at the one below it: that is the same for all tasks."""
        self._lanes = os.fsencode(f"{folder}/attempts/lanes")
        self._given = os.fsencode(f"{folder}/given/here")
        self._ids = _Ids()
        self._proc = _open_proc()
        self._own_pids = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)

    def open_pids(self) -> None:
        """Let the next fork be the first process of a new pid namespace."""
        linux.unshare(linux.CLONE_NEWPID)

    def close_pids(self) -> None:
        """After that fork: let the next one be a process of the zygote's own again."""
        linux.setns(self._own_pids, linux.CLONE_NEWPID)

    def enter(self, lane: bytes, size_bytes: int, files: int) -> None:
        """In a task: leave the zygote's namespaces, and put the folders in their places.

        The kernel refuses more than so many bytes and files in them.
        """
        linux.unshare(_OF_TASKS)
        self._ids.map_in(self._proc)
        os.chdir(lane + b"/given")
        linux.mount(b".", self._given, None, linux.MS_BIND)
        options = b"mode=0700,size=%d,nr_inodes=%d" % (size_bytes + SPARE_BYTES, files + SPARE_FILES)
        linux.mount(b"work", self._lanes, b"tmpfs", _WORK_FLAGS, options)
        os.mkdir(self.work, 0o700)  # noqa: PTH102 on the way to every attempt, and Path is slow
        os.mkdir(self.tmp, 0o700)  # noqa: PTH102
        os.chmod(self._lanes, 0o500)  # noqa: PTH101 nothing else beside them


class _Ids:
    """The user and group that this process is, to be the only ones in a new user namespace."""

    def __init__(self) -> None:
        uid, gid = os.geteuid(), os.getegid()
        self._maps = (
            ("self/setgroups", b"deny"),
            ("self/uid_map", f"{uid} {uid} 1".encode()),
            ("self/gid_map", f"{gid} {gid} 1".encode()),
        )

    def map_in(self, proc_fd: int) -> None:
        for name, content in self._maps:
            fd = os.open(name, os.O_WRONLY | os.O_CLOEXEC, dir_fd=proc_fd)
            try:
                os.write(fd, content)
            finally:
                os.close(fd)


def _open_proc() -> int:
    """/proc by descriptor: it stays usable when the root is left behind."""
    return os.open("/proc", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
