"""A cgroup for every lane, where the worker may make them: a second bound on memory and threads, a second kill.

Everything here comes on top of the limits that hold without it. So no failure to use a group ends an attempt: the
first is remembered for whoever asks, and the attempt goes on under the other limits.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import secrets
import select
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from nadg.domain.limits import Limits
from nadg.sandbox.cgroup_home import LEAF, GroupFiles, Home, NotDelegated, find_home, hand_down, settle
from nadg.sandbox.folder import lock_folder, locked
from nadg.sandbox.pidfds import is_alive, is_dead, pid_of

_PREFIX: Final = "nadg-sandbox-"
_UNCOUNTED_BYTES: Final = 48 << 20
"""Beyond what the code may take: 32 MiB that it has left to report, the rest for what the kernel keeps for it."""
_EMPTY_MILLISECONDS: Final = 1000
_MUST_BE_THERE: Final = ("memory.max", "pids.max")
_log: Final = logging.getLogger(__name__)


class LaneGroup:
    """The group of one lane, which holds the lane's one process; no method raises."""

    def __init__(self, folder: Path, groups: SandboxGroups) -> None:
        self._folder = folder
        self._groups = groups
        self._files = groups.files
        self._set: dict[str, str] = {}
        self._oom_kills = 0
        self._is_usable = True

    def admit(self, pidfd: int) -> None:
        """Put a process in, off the event loop: the kernel may let whoever moves one wait for milliseconds.

        If it died meanwhile, its number may be another's now, whom nobody may kill: then the group is given up.
        """
        if self._is_usable:
            try:
                self._groups.mover.submit(self._admit, os.dup(pidfd))
            except (OSError, RuntimeError) as error:  # no descriptor left, or closed
                self._groups.note(error)

    def _admit(self, pidfd: int) -> None:
        try:
            self._oom_kills = self._count("memory.events", "oom_kill")
            pid = pid_of(pidfd)
            if pid is not None and self._is_usable:
                self._files.write(self._folder, "cgroup.procs", str(pid))
                if is_dead(pidfd) and is_alive(pid):
                    self._is_usable = False
        except OSError as error:
            if not is_dead(pidfd):
                self._groups.note(error)
        finally:
            os.close(pidfd)

    def limit(self, limits: Limits, extra_bytes: int, pidfd: int | None) -> None:
        """Set what an attempt may use; `extra_bytes` of memory are in use that are not the code's."""
        wanted = bounds(limits, extra_bytes, self._groups.controllers)
        if not self._is_usable or wanted == self._set:
            return
        try:
            for name, text in wanted.items():
                self._write_if_there(name, text)
            self._set = wanted
        except OSError as error:
            self._groups.note(error)
            self._leave(pidfd)

    def _write_if_there(self, name: str, text: str) -> None:
        """Some kernels have no account of swap, and then no such file."""
        try:
            if self._set.get(name) != text:
                self._files.write(self._folder, name, text)
        except FileNotFoundError:
            if name in _MUST_BE_THERE:
                raise

    def _leave(self, pidfd: int | None) -> None:
        """Where the limits of the attempt before may still be set, its process must not be bound by them."""
        self._is_usable = False
        with contextlib.suppress(OSError):
            pid = None if pidfd is None else pid_of(pidfd)
            if pid is not None:
                self._files.write(self._groups.outside, "cgroup.procs", str(pid))

    def kill(self) -> None:
        """Kill whatever is in it."""
        if self._is_usable:
            try:
                self._files.write(self._folder, "cgroup.kill", "1")
            except FileNotFoundError:
                pass  # a kernel before 5.14, or the group is gone already
            except OSError as error:
                self._groups.note(error)

    def has_run_out_of_memory(self) -> bool:
        """Whether the kernel killed for want of memory in it since its process came in."""
        try:
            return self._count("memory.events", "oom_kill") > self._oom_kills
        except OSError as error:
            self._groups.note(error)
            return False

    def _count(self, name: str, field: str) -> int:
        if "memory" not in self._groups.controllers:
            return 0
        return counts(self._files.read(self._folder, name)).get(field, 0)

    def remove(self) -> None:
        """Where something still dies in it, it is removed when the sandbox is closed."""
        with contextlib.suppress(OSError):
            self._files.remove(self._folder)


class SandboxGroups:
    """All groups of one sandbox, below one of its own that is locked while the sandbox lives."""

    def __init__(self, home: Home, files: GroupFiles) -> None:
        """Raises OSError where the kernel refuses; then nothing of it stays."""
        self.files = files
        self.controllers = home.controllers
        self.outside = home.folder / LEAF
        """Where the worker itself is."""
        self.trouble = ""
        """What failed first, if anything did."""
        self.mover = ThreadPoolExecutor(1, thread_name_prefix="cgroup")
        self._numbers = itertools.count()
        self._lock: int | None = None
        with locked(home.folder):
            for stale in home.folder.glob(f"{_PREFIX}*"):
                _remove_if_dead(stale, files)
            self.folder = home.folder / f"{_PREFIX}{secrets.token_hex(8)}"
            files.make(self.folder)
            self._lock = lock_folder(self.folder)
        try:
            hand_down(self.folder, self.controllers, files)
        except OSError:
            self.close()
            raise

    @property
    def described(self) -> str:
        """For whoever runs the worker."""
        if not self.controllers:
            return "each attempt has one of its own, which bounds nothing"
        return f"each attempt has one of its own, which bounds {' and '.join(self.controllers)}"

    def make_lane(self) -> LaneGroup | None:
        """A group for a lane; None where it cannot be had."""
        folder = self.folder / str(next(self._numbers))
        try:
            self.files.make(folder)
        except OSError as error:
            self.note(error)
            return None
        return LaneGroup(folder, self)

    def note(self, error: Exception) -> None:
        """Say the first failure, and no other."""
        if not self.trouble:
            self.trouble = str(error)
            _log.warning("a cgroup could not be used; the other limits of the sandbox hold: %s", error)

    def close(self) -> None:
        """Remove all of them, once their processes are dead; may wait a moment."""
        self.mover.shutdown()
        remove_groups(self.folder, self.files)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def open_groups() -> SandboxGroups:
    """Make ready and try out what the worker's own group allows. Raises NotDelegated where that is nothing."""
    home, files = find_home(), GroupFiles()
    try:
        settle(home, files)
        groups = SandboxGroups(home, files)
    except OSError as error:
        raise NotDelegated(f"a cgroup could not be made ready: {error}") from error
    try_out(groups)
    return groups


def try_out(groups: SandboxGroups) -> None:
    """Make a group and set limits on it. Raises NotDelegated, with all groups removed, where that fails."""
    lane = groups.make_lane()
    if lane is not None:
        lane.limit(Limits(), 0, None)
        lane.remove()
    if groups.trouble:
        groups.close()
        raise NotDelegated(f"a cgroup could not be given limits: {groups.trouble}")


def remove_groups(folder: Path, files: GroupFiles) -> None:
    """Remove a group and those in it; what still lives there is killed first."""
    with contextlib.suppress(OSError):
        for lane in [path for path in folder.iterdir() if path.is_dir()]:
            _remove(lane, files)
        _remove(folder, files)


def _remove(group: Path, files: GroupFiles) -> None:
    try:
        files.remove(group)
    except OSError:
        with contextlib.suppress(OSError):
            files.write(group, "cgroup.kill", "1")
            _wait_until_empty(group)
            files.remove(group)


def _wait_until_empty(group: Path) -> None:
    """The kernel tells when the file with this count has changed."""
    fd = os.open(group / "cgroup.events", os.O_RDONLY | os.O_CLOEXEC)
    try:
        poller = select.poll()
        poller.register(fd, select.POLLPRI)
        while counts(os.pread(fd, 4096, 0).decode()).get("populated") and poller.poll(_EMPTY_MILLISECONDS):
            pass
    finally:
        os.close(fd)


def _remove_if_dead(folder: Path, files: GroupFiles) -> None:
    """Remove what a killed worker left; that of a living one is locked, that of another user is left alone."""
    with contextlib.suppress(OSError):
        lock = lock_folder(folder)
        if lock is not None:
            try:
                remove_groups(folder, files)
            finally:
                os.close(lock)


def bounds(limits: Limits, extra_bytes: int, controllers: tuple[str, ...]) -> dict[str, str]:
    """What is written to which file of a group, in this order."""
    wanted: dict[str, str] = {}
    if "memory" in controllers:
        memory = (limits.memory_megabytes << 20) + extra_bytes + _UNCOUNTED_BYTES
        wanted |= {"memory.swap.max": "0", "memory.oom.group": "1", "memory.max": str(memory)}
    if "pids" in controllers:
        wanted["pids.max"] = str(limits.threads)
    return wanted


def counts(text: str) -> dict[str, int]:
    """The numbers of a file with a name and a number in each line."""
    pairs = (line.split() for line in text.splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdecimal()}
