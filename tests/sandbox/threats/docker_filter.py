"""An imitation of Docker's default seccomp profile for a process without capabilities.

What that profile denies to such a process fails here with EPERM, and `clone3` with ENOSYS, as there.
Source: https://github.com/moby/profiles, seccomp/default.json.
"""

from __future__ import annotations

import errno
import os
from typing import Final

from nadg.sandbox import linux
from nadg.sandbox.layers import bpf
from nadg.sandbox.layers.bpf import ALLOW, Block, Instruction, errno_verdict, give
from nadg.sandbox.layers.syscalls import Machine, this_machine

_DENIED: Final = """
unshare setns mount umount2 pivot_root chroot open_tree move_mount fsopen fsconfig fsmount fspick mount_setattr
keyctl add_key request_key bpf perf_event_open userfaultfd kexec_load kexec_file_load init_module finit_module
delete_module iopl ioperm swapon swapoff reboot acct quotactl name_to_handle_at open_by_handle_at lookup_dcookie
nfsservctl io_uring_setup io_uring_enter io_uring_register fanotify_init syslog settimeofday clock_settime
sethostname setdomainname vhangup kcmp move_pages mbind set_mempolicy get_mempolicy ustat sysfs uselib
"""
_MORE_NUMBERS_OF_X86_64: Final = """
personality=135 ustat=136 sysfs=139 uselib=134 syslog=103 vhangup=153 acct=163 settimeofday=164 swapon=167
swapoff=168 reboot=169 sethostname=170 setdomainname=171 iopl=172 ioperm=173 init_module=175 delete_module=176
quotactl=179 nfsservctl=180 lookup_dcookie=212 clock_settime=227 mbind=237 set_mempolicy=238 get_mempolicy=239
kexec_load=246 move_pages=279 fanotify_init=300 kcmp=312 finit_module=313 kexec_file_load=320 open_tree=428
move_mount=429 fsopen=430 fsconfig=431 fsmount=432 fspick=433 mount_setattr=442
"""
_CLONE_NEW_ANYTHING: Final = 0x7E020000
_AF_VSOCK: Final = 40
_PERSONALITIES: Final = (0, 8, 0x20000, 0x20008, 0xFFFFFFFF)
_USER_NOTIF: Final = 0x7FC00000


def call_numbers(machine: Machine) -> dict[str, int]:
    """The sandbox's own table and, on x86-64, the calls that only the profile names."""
    if os.uname().machine != "x86_64":
        return machine.numbers
    pairs = (entry.split("=") for entry in _MORE_NUMBERS_OF_X86_64.split())
    return machine.numbers | {name: int(number) for name, number in pairs}


def deny_as_docker_does() -> None:
    """Put the imitated profile on this process for good."""
    denied, allow = give(errno_verdict(errno.EPERM)), give(ALLOW)
    rules = dict.fromkeys(_DENIED.split(), denied) | {
        "clone": bpf.if_any_bit(0, _CLONE_NEW_ANYTHING, denied, allow),
        "clone3": give(errno_verdict(errno.ENOSYS)),
        "socket": bpf.if_argument(0, (_AF_VSOCK,), denied, allow),
        "personality": bpf.if_argument(0, _PERSONALITIES, allow, denied),
    }
    program = build_filter(rules)
    linux.load_filter(program.program_for(os.getpid()))


def deny(calls: dict[str, list[int]]) -> None:
    """Let these calls fail with EPERM, for any first argument or for those listed; nothing else changes."""
    denied, allow = give(errno_verdict(errno.EPERM)), give(ALLOW)
    rules = {name: bpf.if_argument(0, first, denied, allow) if first else denied for name, first in calls.items()}
    program = build_filter(rules)
    linux.load_filter(program.program_for(os.getpid()))


def build_filter(rules: dict[str, Block]) -> bpf.Filter:
    """A filter that lets everything pass but what `rules` names."""
    machine = this_machine()
    if machine is None:
        raise OSError("no system call table for this machine")
    numbers = call_numbers(machine)
    by_number = {numbers[name]: verdict for name, verdict in rules.items() if name in numbers}
    return bpf.Filter(bpf.assemble(machine.audit_code, by_number, give(ALLOW)))


def ask_about_landlock_versions() -> bpf.Filter:
    """A filter that hands every question for the Landlock ABI to a listener."""
    flags_at, version = 2, 1
    ask: Block = [Instruction(0x06, 0, 0, _USER_NOTIF)]
    return build_filter({"landlock_create_ruleset": bpf.if_argument(flags_at, (version,), ask, give(ALLOW))})
