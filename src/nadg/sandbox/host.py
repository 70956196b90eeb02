"""What of this host matters to the sandbox, read and not changed."""

from __future__ import annotations

import importlib.util
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Final

import msgspec

from nadg.sandbox.cgroup_home import NotDelegated, find_home
from nadg.sandbox.layers import landlock, syscalls
from nadg.sandbox.policy import Policy
from nadg.sandbox.readable import readable_paths

_IN_CONTAINERS: Final = (".dockerenv", "run/.containerenv", "run/systemd/container")
"""Files that Docker, Podman and systemd put into theirs."""
_TRY_NAMESPACES: Final = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
def must(result):
    if result:
        raise SystemExit(os.strerror(ctypes.get_errno()))
must(libc.unshare(0x10000000 | 0x00020000))
must(libc.mount(b"none", b"/", None, ctypes.c_ulong(16384 | 1 << 18), None))
"""
"""A user and a mount namespace, and one thing that needs rights in them: some systems give the first only."""


class HostFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Kernel, user, installation and container, as far as they bear on isolation."""

    system: str
    kernel: str
    machine: str
    python: str
    in_container: bool
    landlock_abi: int
    """0: the kernel has none, or it is switched off."""
    has_seccomp: bool
    namespaces_refused: str
    """Why a user namespace cannot be made and used; empty where it can."""
    max_user_namespaces: int | None
    unprivileged_userns_clone: int | None
    """Debian's switch; None where the kernel has none."""
    apparmor_restricts_userns: int | None
    """Ubuntu's switch; None where the kernel has none."""
    cgroup_refused: str
    """Why a worker started as this process was cannot have a cgroup for each attempt; empty where it can."""
    is_root: bool
    task_uid: int
    """The user that the confined code runs as."""
    unreadable: tuple[str, ...]
    """Parts of this Python installation that this user cannot read."""
    absent_modules: tuple[str, ...]
    """Modules that warm processes would hold ready, were they installed."""
    swap_bytes: int


def read_host(policy: Policy, root: Path = Path("/")) -> HostFacts:
    """The facts; those that are files are read below `root`."""
    machine = syscalls.this_machine()
    is_linux = sys.platform == "linux"
    is_root = os.geteuid() == 0
    modules = {name.partition(".")[0] for names in policy.zygotes.values() for name in names}
    return HostFacts(
        system=platform.system(),
        kernel=platform.release(),
        machine=platform.machine(),
        python=platform.python_version(),
        in_container=any((root / name).exists() for name in _IN_CONTAINERS),
        landlock_abi=landlock.abi_version(machine) if is_linux and machine else 0,
        has_seccomp="\nSeccomp:" in _text(root / "proc/self/status"),
        namespaces_refused=_try_namespaces() if is_linux else "only Linux has them",
        max_user_namespaces=_number(root / "proc/sys/user/max_user_namespaces"),
        unprivileged_userns_clone=_number(root / "proc/sys/kernel/unprivileged_userns_clone"),
        apparmor_restricts_userns=_number(root / "proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
        cgroup_refused=_cgroup_refused(root),
        is_root=is_root,
        task_uid=policy.task_uid if is_root else os.geteuid(),
        unreadable=tuple(path for path in readable_paths().whole if not _is_readable(Path(path), is_root)),
        absent_modules=tuple(name for name in sorted(modules) if importlib.util.find_spec(name) is None),
        swap_bytes=_swap_bytes(_text(root / "proc/meminfo")),
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _number(path: Path) -> int | None:
    text = _text(path).strip()
    return int(text) if text.isdigit() else None


def _try_namespaces() -> str:
    """Make them in a process of their own; what the kernel said where it refused."""
    command = [sys.executable, "-I", "-S", "-c", _TRY_NAMESPACES]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    return "" if done.returncode == 0 else done.stderr.strip()[-200:] or f"status {done.returncode}"


def _cgroup_refused(root: Path) -> str:
    try:
        find_home(root)
    except NotDelegated as error:
        return str(error)
    return ""


def _is_readable(path: Path, as_other_user: bool) -> bool:
    """Whether the tasks' user reaches it: ours, or where we are root any user without rights of its own."""
    if not as_other_user:
        return os.access(path, os.R_OK)
    is_open = bool(path.stat().st_mode & 0o004)
    return is_open and all(folder.stat().st_mode & 0o001 for folder in path.parents)


def _swap_bytes(meminfo: str) -> int:
    for line in meminfo.splitlines():
        name, _, value = line.partition(":")
        if name == "SwapTotal":
            return int(value.split()[0]) << 10
    return 0
