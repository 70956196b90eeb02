"""The combinations of tier and start in which every threat is tried, and what this machine allows of them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Final, Literal, NamedTuple

from nadg.domain.tier import Tier
from nadg.sandbox.layers import landlock
from nadg.sandbox.layers.syscalls import this_machine
from nadg.sandbox.policy import TASK_UID

Starter = Literal["root", "user", "docker"]
"""Who starts the sandbox: root (its tasks get a user of their own), an ordinary user, or user 1000 as Docker's
default profile leaves it: no capability, nothing to be gained, the calls that it denies denied."""


class Combination(NamedTuple):
    """A tier, and how the process that uses it was started."""

    name: str
    tier: Tier
    starter: Starter

    @property
    def uid(self) -> int:
        """Whom the process runs as; an ordinary user who runs the tests can be nobody else."""
        return {"root": 0, "user": 4711, "docker": 1000}[self.starter] if os.geteuid() == 0 else os.geteuid()

    @property
    def task_uid(self) -> int:
        """Whom the confined code runs as."""
        return TASK_UID if self.uid == 0 else self.uid


COMBINATIONS: Final = (
    Combination("namespaces-root", Tier.NAMESPACES, "root"),
    Combination("namespaces-user", Tier.NAMESPACES, "user"),
    Combination("landlock-root", Tier.LANDLOCK, "root"),
    Combination("landlock-user", Tier.LANDLOCK, "user"),
    Combination("landlock-docker", Tier.LANDLOCK, "docker"),
)

_REFUSALS: Final = frozenset(("EACCES", "EPERM", "ENOSYS", "ENOTTY", "EROFS", "EXDEV", "EBADF", "ESRCH", "ECHILD"))
_IN_NAMESPACES: Final = frozenset(("ENOENT", "EINVAL", "ENETUNREACH", "EBUSY"))


def refusals(combination: Combination) -> frozenset[str]:
    """The errors that mean a refusal. In namespaces of its own the code does not even see what it reaches for."""
    return _REFUSALS | (_IN_NAMESPACES if combination.tier is Tier.NAMESPACES else frozenset())


def end_of_abort(combination: Combination) -> str:
    """The signal that `abort` dies of. The first process of a pid namespace ignores what it sends itself, so
    there glibc's last resort ends it: an instruction that no user program may use."""
    return "SIGSEGV" if combination.tier is Tier.NAMESPACES else "SIGABRT"


def obstacle(combination: Combination, unshare: Callable[[Combination], str]) -> str:
    """Why this machine cannot show this combination; empty where it can.

    `unshare` tells how a process started in that way fares with new namespaces: empty, or its error.
    """
    machine = this_machine()
    if sys.platform != "linux" or machine is None:
        return "this sandbox is Linux's, on x86-64 and AArch64"
    if combination.starter == "root" and os.geteuid() != 0:
        return "only root can start it as root"
    if landlock.abi_version(machine) < landlock.MINIMUM_ABI:
        return f"needs Landlock: this kernel has ABI {landlock.abi_version(machine)}"
    if combination.tier is Tier.NAMESPACES and (error := unshare(combination)):
        return f"this machine refuses new namespaces ({error})"
    return ""
