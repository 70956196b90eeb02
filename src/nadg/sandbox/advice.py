"""For everything that a host lacks: what that costs, and what to do about it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import msgspec

from nadg.domain.tier import Tier
from nadg.sandbox.host import HostFacts
from nadg.sandbox.layers.landlock import MINIMUM_ABI

SCOPE = "systemd-run --user --scope -p Delegate=yes -p MemoryMax=8G -p TasksMax=2000 nadg worker"


class Advice(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is missing, and its mend."""

    missing: str
    mend: str


def advice(host: HostFacts, working: Collection[Tier]) -> tuple[Advice, ...]:
    """What to mend here, the most important first."""
    return tuple(_all_advice(host, working))


def _all_advice(host: HostFacts, working: Collection[Tier]) -> Iterator[Advice]:
    if host.system != "Linux":
        yield Advice(
            missing=f"{host.system} offers no isolation that NADG can use",
            mend="run workers that others may send code to on Linux, in a virtual machine for instance",
        )
        return
    if Tier.LANDLOCK not in working:
        yield _landlock_advice(host)
    if Tier.NAMESPACES not in working and host.namespaces_refused:
        yield _namespaces_advice(host)
    yield from _installation_advice(host, working)
    yield from _bounds_advice(host)


def _landlock_advice(host: HostFacts) -> Advice:
    if host.machine not in ("x86_64", "aarch64"):
        return Advice(
            missing=f"the sandbox does not know {host.machine} machines",
            mend="use an x86-64 or ARM64 machine for workers",
        )
    if host.landlock_abi == 0:
        return Advice(
            missing="Landlock is not in this kernel, is switched off, or a container forbids it",
            mend="use Linux 6.2 or newer with landlock among the names of the boot parameter lsm= "
            "(see /sys/kernel/security/lsm); in a container it is the machine's kernel that counts",
        )
    if host.landlock_abi < MINIMUM_ABI:
        return Advice(
            missing=f"Landlock ABI {host.landlock_abi} does not cover truncation of files",
            mend="use Linux 6.2 or newer",
        )
    return Advice(
        missing="Landlock is there, and the tier does not hold all the same",
        mend="mend what the line of tier landlock names, then run this again",
    )


def _namespaces_advice(host: HostFacts) -> Advice:
    missing = f"user namespaces cannot be used ({host.namespaces_refused})"
    if host.in_container:
        return Advice(
            missing=missing,
            mend="landlock is what Docker's default profile allows, and is enough for most uses; for namespaces "
            "run the worker on the machine itself or in a virtual machine, rather than with --security-opt "
            "seccomp=unconfined, which takes the container's own protection away",
        )
    if host.max_user_namespaces == 0:
        return Advice(missing=missing, mend="sysctl -w user.max_user_namespaces=15000")
    if host.unprivileged_userns_clone == 0:
        return Advice(missing=missing, mend="sysctl -w kernel.unprivileged_userns_clone=1")
    if host.apparmor_restricts_userns:
        return Advice(
            missing=missing,
            mend="give this Python an AppArmor profile that allows userns, "
            "or switch the restriction off: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
        )
    return Advice(missing=missing, mend="ask whoever runs this machine to allow user namespaces")


def _installation_advice(host: HostFacts, working: Collection[Tier]) -> Iterator[Advice]:
    if host.unreadable:
        covered = "a private view laid over it helps out" if Tier.LANDLOCK in working else "no attempt can start"
        yield Advice(
            missing=f"user {host.task_uid}, whom the code runs as, cannot read {host.unreadable[0]}: {covered}",
            mend="install Python where every user can read it (for instance below /opt), "
            "or start the worker as an ordinary user",
        )
    if host.is_root:
        yield Advice(
            missing=f"a worker started as root stays root; only the code runs as user {host.task_uid}",
            mend="start the worker as an ordinary user: it needs no right of root's",
        )
    if host.absent_modules:
        yield Advice(
            missing=f"not installed, so not held ready: {', '.join(host.absent_modules)}",
            mend="pip install 'nadg[skills]'",
        )


def _bounds_advice(host: HostFacts) -> Iterator[Advice]:
    yield Advice(
        missing="all attempts together have no bound on memory, each only its own"
        + (f"; and none has a cgroup of its own: {host.cgroup_refused}" if host.cgroup_refused else ""),
        mend="start the container with bounds: docker run --memory 8g --pids-limit 2000"
        if host.in_container
        else f"start the worker in a scope with bounds: {SCOPE}",
    )
    if host.swap_bytes:
        yield Advice(
            missing="there is swap: an attempt on its way to its memory limit may slow the machine down first",
            mend="swapoff -a, or MemorySwapMax=0 in the worker's scope",
        )
