"""The system call filter: what the confined code may ask of the kernel at all.

Everything not named here answers ENOSYS, as on a kernel that lacks it, so that libraries fall back. What
Landlock cannot stop (datagrams, pathname sockets, signals and limits of other processes, modes and times of
foreign files, running a program from memory) is stopped here.
"""

from __future__ import annotations

import errno
import os
from typing import Final

from nadg.sandbox import linux
from nadg.sandbox.layers import bpf
from nadg.sandbox.layers.bpf import ALLOW, Block, errno_verdict, give
from nadg.sandbox.layers.syscalls import Machine

_ALLOWED: Final = """
read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2 open openat creat close close_range lseek
stat fstat lstat newfstatat statx access faccessat faccessat2 readlink readlinkat getdents getdents64 mkdir mkdirat
rmdir unlink unlinkat rename renameat renameat2 truncate ftruncate fallocate fsync fdatasync sync_file_range getcwd
chdir fchdir dup dup2 dup3 pipe pipe2 fadvise64 flock copy_file_range sendfile statfs fstatfs umask
mmap munmap mremap mprotect madvise brk mincore msync membarrier
futex set_robust_list rseq set_tid_address exit exit_group gettid getpid getppid sched_yield getcpu
sched_get_priority_max sched_get_priority_min nanosleep gettimeofday time times getrusage getitimer setitimer alarm
timerfd_create timerfd_settime timerfd_gettime eventfd eventfd2 epoll_create epoll_create1 epoll_ctl epoll_wait
epoll_pwait epoll_pwait2 poll ppoll select pselect6 pause restart_syscall
rt_sigaction rt_sigprocmask rt_sigreturn rt_sigpending rt_sigtimedwait rt_sigsuspend sigaltstack signalfd4
getuid geteuid getgid getegid getgroups getresuid getresgid getpgrp getrlimit setrlimit sysinfo uname getrandom
recvfrom shutdown getsockname getpeername
"""
"""Unconditionally; those that name a file are Landlock's to judge."""

_DONE_BY_NOT_DOING: Final = """
chmod fchmod fchmodat fchmodat2 chown fchown lchown fchownat utime utimes utimensat futimesat
setxattr lsetxattr fsetxattr
"""
"""Landlock does not cover these; shutil expects them to succeed, so they seem to."""

_ANSWERS: Final = {
    "getxattr lgetxattr fgetxattr listxattr llistxattr flistxattr removexattr lremovexattr fremovexattr": (
        errno.EOPNOTSUPP
    ),
    "fork vfork execve execveat link linkat symlink symlinkat mknod mknodat setsid setpgid": errno.EPERM,
    "sched_setaffinity setpriority tkill": errno.EPERM,
    "socket connect bind listen accept accept4 sendmsg sendmmsg recvmsg recvmmsg setsockopt": errno.EACCES,
    "wait4 waitid": errno.ECHILD,
}
"""Refusals that Python has a fitting exception for."""

_CLONE_THREAD: Final = 0x00010000
_CLONE_NEW_ANYTHING: Final = 0x7E020000
_SOCKET_KIND: Final = 0xFF
_AF_UNIX: Final = 1
_SOCK_STREAM: Final = 1
_SOL_SOCKET: Final = 1
_PRIO_PROCESS: Final = 0
_SIGKILL: Final = 9
_LAST_FIXED_CLOCK: Final = 12
"""Greater clock numbers name the CPU clocks of processes."""

_FCNTL_SET_FLAGS: Final = 4
_FCNTL_COMMANDS: Final = (0, 1, 2, 3, 5, 6, 7, 36, 37, 38, 1030, 1032)
"""DUPFD, GETFD, SETFD, GETFL, GETLK, SETLK, SETLKW, the same three for OFD locks, DUPFD_CLOEXEC, GETPIPE_SZ."""
_IOCTL_COMMANDS: Final = (0x5401, 0x802C542A, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)
"""TCGETS and TCGETS2 (isatty), TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX."""
_PRCTL_OPTIONS: Final = (3, 15, 16, 21, 23, 39, 0x53564D41)
"""GET_DUMPABLE, SET_NAME, GET_NAME, GET_SECCOMP, CAPBSET_READ, GET_NO_NEW_PRIVS, SET_VMA (names of mappings)."""


def build_filter(machine: Machine) -> bpf.Filter:
    """The finished filter for this machine; built once, loaded by every child."""
    verdicts: dict[str, Block] = dict.fromkeys(_ALLOWED.split(), give(ALLOW))
    verdicts |= dict.fromkeys(_DONE_BY_NOT_DOING.split(), give(errno_verdict(0)))
    for names, code in _ANSWERS.items():
        verdicts |= dict.fromkeys(names.split(), give(errno_verdict(code)))
    verdicts |= _by_argument()
    rules = {machine.numbers[name]: verdict for name, verdict in verdicts.items() if name in machine.numbers}
    return bpf.Filter(bpf.assemble(machine.audit_code, rules, give(errno_verdict(errno.ENOSYS))))


def _by_argument() -> dict[str, Block]:
    """Calls that are judged by what they are asked to do."""
    allow, not_permitted = give(ALLOW), give(errno_verdict(errno.EPERM))
    no_access, no_process = give(errno_verdict(errno.EACCES)), give(errno_verdict(errno.ESRCH))
    own = bpf.if_own_pid(0, allow, no_process, or_zero=True)
    new_thread = bpf.if_any_bit(0, _CLONE_THREAD, allow, not_permitted)
    stream = bpf.if_masked(1, _SOCKET_KIND, _SOCK_STREAM, allow, no_access)
    flags = bpf.if_any_bit(2, os.O_ASYNC, not_permitted, allow) if hasattr(os, "O_ASYNC") else not_permitted
    return {
        "clone": bpf.if_any_bit(0, _CLONE_NEW_ANYTHING, not_permitted, new_thread),
        "socketpair": bpf.if_argument(0, (_AF_UNIX,), stream, no_access),
        "sendto": bpf.if_null(4, allow, no_access),
        "getsockopt": bpf.if_argument(1, (_SOL_SOCKET,), allow, no_access),
        "kill": _signal_to_self(signal_index=1),
        "tgkill": _signal_to_self(signal_index=2),
        "prlimit64": own,
        "sched_getaffinity": own,
        "sched_getparam": own,
        "sched_getscheduler": own,
        "getpgid": own,
        "getsid": own,
        "getpriority": bpf.if_argument(
            0, (_PRIO_PROCESS,), bpf.if_own_pid(1, allow, no_process, or_zero=True), no_process
        ),
        "clock_gettime": _fixed_clock(),
        "clock_getres": _fixed_clock(),
        "clock_nanosleep": _fixed_clock(),
        "fcntl": bpf.if_argument(
            1, (_FCNTL_SET_FLAGS,), flags, bpf.if_argument(1, _FCNTL_COMMANDS, allow, not_permitted)
        ),
        "ioctl": bpf.if_argument(1, _IOCTL_COMMANDS, allow, give(errno_verdict(errno.ENOTTY))),
        "prctl": bpf.if_argument(0, _PRCTL_OPTIONS, allow, not_permitted),
    }


def _signal_to_self(signal_index: int) -> Block:
    """Any signal to oneself except SIGKILL, so that a SIGKILL always tells of the worker or of the kernel."""
    refuse = give(errno_verdict(errno.EPERM))
    return bpf.if_own_pid(0, bpf.if_argument(signal_index, (_SIGKILL,), refuse, give(ALLOW)), refuse)


def _fixed_clock() -> Block:
    return bpf.if_below(0, _LAST_FIXED_CLOCK, give(ALLOW), give(errno_verdict(errno.EINVAL)))


def enter(program: bpf.Filter, pid: int) -> None:
    """Put the filter on this process for good; needs no_new_privs."""
    linux.load_filter(program.program_for(pid))
