"""What a host is said to be, from files made for the purpose, and what is advised for each lack."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nadg.domain.tier import Tier
from nadg.sandbox import Policy
from nadg.sandbox.advice import advice
from nadg.sandbox.doctor import BEST_FIRST
from nadg.sandbox.host import HostFacts, read_host

FINE = HostFacts(
    system="Linux",
    kernel="6.8",
    machine="x86_64",
    python="3.12",
    in_container=False,
    landlock_abi=7,
    has_seccomp=True,
    namespaces_refused="",
    max_user_namespaces=1000,
    unprivileged_userns_clone=None,
    apparmor_restricts_userns=None,
    cgroup_refused="",
    is_root=False,
    task_uid=1000,
    unreadable=(),
    absent_modules=(),
    swap_bytes=0,
)
NO_NAMESPACES: dict[str, Any] = {"namespaces_refused": "Operation not permitted"}


def host_files(root: Path, **files: str) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_switches_and_swap_are_read(tmp_path: Path) -> None:
    found = read_host(Policy(), tmp_path)
    assert (found.unprivileged_userns_clone, found.apparmor_restricts_userns, found.swap_bytes) == (None, None, 0)
    assert (found.in_container, found.has_seccomp) == (False, False)
    assert found.cgroup_refused == "this system has no cgroup version 2"
    kernel = "proc/sys/kernel"
    root = host_files(
        tmp_path,
        **{
            f"{kernel}/unprivileged_userns_clone": "0\n",
            f"{kernel}/apparmor_restrict_unprivileged_userns": "1\n",
            "proc/sys/user/max_user_namespaces": "0\n",
            "proc/meminfo": "MemTotal: 9 kB\nSwapTotal:  2048 kB\n",
            "proc/self/status": "Name:\tx\nSeccomp:\t0\n",
            ".dockerenv": "",
        },
    )
    found = read_host(Policy(zygotes={"lean": ("json", "no_such_module.at_all")}), root)
    assert (found.unprivileged_userns_clone, found.apparmor_restricts_userns) == (0, 1)
    assert (found.max_user_namespaces, found.swap_bytes) == (0, 2 << 20)
    assert (found.in_container, found.has_seccomp) == (True, True)
    assert found.absent_modules == ("no_such_module",)
    assert found.is_root == (os.geteuid() == 0)
    assert found.task_uid == (Policy().task_uid if found.is_root else os.geteuid())


@pytest.mark.parametrize(
    ("facts", "working", "mend"),
    [
        ({"system": "Darwin"}, (), "run workers that others may send code to on Linux"),
        ({"machine": "riscv64", "landlock_abi": 0}, (), "use an x86-64 or ARM64 machine"),
        ({"landlock_abi": 0}, (), "boot parameter lsm="),
        ({"landlock_abi": 2}, (), "use Linux 6.2 or newer"),
        ({}, (), "mend what the line of tier landlock names"),
        (NO_NAMESPACES, (Tier.LANDLOCK,), "ask whoever runs this machine"),
        (
            {**NO_NAMESPACES, "in_container": True},
            (Tier.LANDLOCK,),
            "Docker's default profile",
        ),
        (
            {**NO_NAMESPACES, "max_user_namespaces": 0},
            (Tier.LANDLOCK,),
            "sysctl -w user.max_user_namespaces=15000",
        ),
        (
            {**NO_NAMESPACES, "unprivileged_userns_clone": 0},
            (Tier.LANDLOCK,),
            "sysctl -w kernel.unprivileged_userns_clone=1",
        ),
        (
            {**NO_NAMESPACES, "apparmor_restricts_userns": 1},
            (Tier.LANDLOCK,),
            "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
        ),
        ({"unreadable": ("/opt/x/lib",)}, BEST_FIRST, "install Python where every user can read it"),
        ({"is_root": True}, BEST_FIRST, "start the worker as an ordinary user"),
        ({"absent_modules": ("numpy",)}, BEST_FIRST, "pip install 'nadg[skills]'"),
        ({"cgroup_refused": "it is not delegated"}, BEST_FIRST, "systemd-run --user --scope -p Delegate=yes"),
        ({"in_container": True}, BEST_FIRST, "docker run --memory 8g --pids-limit 2000"),
        ({"swap_bytes": 1}, BEST_FIRST, "swapoff -a"),
    ],
)
def test_every_lack_has_its_mend(facts: dict[str, Any], working: tuple[Tier, ...], mend: str) -> None:
    told = [one.mend for one in advice(msgspec.structs.replace(FINE, **facts), working)]
    assert [one for one in told if mend in one] != [], told


def test_what_is_fine_is_not_complained_of() -> None:
    assert [one.missing for one in advice(FINE, BEST_FIRST)] == [
        "all attempts together have no bound on memory, each only its own"
    ]
    refused = msgspec.structs.replace(FINE, cgroup_refused="it is not delegated")
    assert [one.missing.rpartition(": ")[2] for one in advice(refused, BEST_FIRST)] == ["it is not delegated"]
    assert not any("namespace" in one.missing for one in advice(FINE, (Tier.LANDLOCK,))), "this host allows them"
