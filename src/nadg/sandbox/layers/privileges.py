"""Giving up what a process could do as its user: the root user itself, capabilities, gaining any back."""

from __future__ import annotations

import os
import signal

from nadg.sandbox import linux


def become(uid: int) -> None:
    """Turn from root into an ordinary user for good."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def give_up_for_good() -> None:
    """No capabilities, and no program started from here can have more rights than this process."""
    linux.drop_ambient_capabilities()
    linux.drop_capabilities()
    forbid_new_ones()


def forbid_new_ones() -> None:
    """No program started from here can have more rights than this process, nor can its children."""
    linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1)


def require_given_up() -> None:
    """Raises PermissionError where this process, or a program it started, has or could gain rights."""
    if linux.prctl(linux.PR_GET_NO_NEW_PRIVS) != 1 or os.geteuid() == 0 or linux.has_capabilities():
        raise PermissionError("privileges were not given up")


def die_with(parent_pid: int) -> None:
    """Be killed when the parent ends; raises ChildProcessError where it already has.

    A parent in another pid namespace has the number 0 here, and its end is the end of both namespaces.
    """
    linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:
        raise ChildProcessError("the zygote ended while this process was being set up")


def end_with_parent() -> None:
    """Be killed when whoever started this process ends, even while it is stopped; a change of user undoes it."""
    linux.prctl(linux.PR_SET_PDEATHSIG, signal.SIGKILL)


def be_first_to_go() -> None:
    """When the machine runs out of memory, let the kernel choose this process or one forked from it."""
    fd = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
    try:
        os.write(fd, b"1000")
    finally:
        os.close(fd)


def hide_from_tracers() -> None:
    """No core dump, no tracing, and /proc entries that belong to root."""
    linux.prctl(linux.PR_SET_DUMPABLE, 0)
