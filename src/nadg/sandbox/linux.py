"""The few Linux calls that Python does not offer, made directly through the C library.

Made only on Linux, in the zygote and its children; a failing call raises OSError with its errno.
"""

from __future__ import annotations

import ctypes
import os

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_SECCOMP = 22
PR_CAPBSET_DROP = 24
PR_SET_NO_NEW_PRIVS = 38
PR_GET_NO_NEW_PRIVS = 39
PR_SET_CHILD_SUBREAPER = 36
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_CLEAR_ALL = 4
SECCOMP_MODE_FILTER = 2

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18
MNT_DETACH = 2
MOUNT_ATTR_RDONLY = 1
MOUNT_ATTR_NOSUID = 2
MOUNT_ATTR_NODEV = 4
MOUNT_ATTR_NOEXEC = 8
_AT_FDCWD = -100
_AT_RECURSIVE = 0x8000

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_libc.syscall.argtypes = [ctypes.c_long] * 7
_ZEROS = (0,) * 6
_CAPABILITIES_VERSION_3 = (ctypes.c_uint32 * 2)(0x20080522, 0)
_NONE = (ctypes.c_uint32 * 6)()
_FOUND = (ctypes.c_uint32 * 6)()
_of_small_numbers = ctypes.CDLL(None, use_errno=True)
"""Without argument types, for calls whose arguments are all C ints: in a child that was just forked every object
that is touched is a page that is copied, and each argument type is some of them."""


def _failure(what: str) -> OSError:
    code = ctypes.get_errno()
    return OSError(code, f"{what}: {os.strerror(code)}")


def _checked(result: int, what: str) -> int:
    if result == -1:
        raise _failure(what)
    return result


def syscall(what: str, number: int, *arguments: int) -> int:
    """Make system call `number`, addresses given as integers; `what` names it in the error."""
    return _checked(int(_libc.syscall(number, *arguments, *_ZEROS[len(arguments) :])), what)


def restrict_self(number: int, ruleset_fd: int) -> None:
    """landlock_restrict_self, whose number here is given."""
    if _of_small_numbers.syscall(number, ruleset_fd, 0) == -1:
        raise _failure("landlock_restrict_self")


def prctl(option: int, second: int = 0, third: int = 0) -> int:
    """For the options that take small numbers."""
    result: int = _of_small_numbers.prctl(option, second, third, 0, 0)
    if result == -1:
        raise _failure(f"prctl {option}")
    return result


def load_filter(program: ctypes.Structure) -> None:
    """Attach a seccomp filter to this thread; needs no_new_privs."""
    if _libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0) == -1:
        raise _failure("seccomp")


def unshare(flags: int) -> None:
    _checked(int(_libc.unshare(ctypes.c_int(flags))), "unshare")


def mount(source: bytes, target: bytes, kind: bytes | None, flags: int, options: bytes = b"") -> None:
    done = _libc.mount(source, target, kind, ctypes.c_ulong(flags), options)
    _checked(int(done), f"mount {os.fsdecode(target)}" if done else "")


def setns(fd: int, kind: int) -> None:
    _checked(int(_libc.setns(fd, ctypes.c_int(kind))), "setns")


def set_mount_attributes(number: int, path: str, attributes: int, *, recursive: bool) -> None:
    """Add attributes to a mount, and to those below it; `number` is that of mount_setattr here."""
    wanted = (ctypes.c_uint64 * 4)(attributes, 0, 0, 0)
    name = ctypes.create_string_buffer(os.fsencode(path))
    where = (_AT_FDCWD & 0xFFFFFFFF, ctypes.addressof(name), _AT_RECURSIVE if recursive else 0)
    syscall(f"mount_setattr {path}", number, *where, ctypes.addressof(wanted), ctypes.sizeof(wanted))


def pivot_root_here(number: int) -> None:
    """Make the current folder, a mount of its own, the root, and let the old root go."""
    here = ctypes.create_string_buffer(b".")
    syscall("pivot_root", number, ctypes.addressof(here), ctypes.addressof(here))
    _checked(int(_libc.umount2(b".", MNT_DETACH)), "umount2")
    os.chdir("/")


def set_host_name(name: str) -> None:
    _checked(int(_libc.sethostname(name.encode(), len(name))), "sethostname")


def has_capabilities() -> bool:
    """Whether this thread has any capability, effective or permitted or inheritable."""
    _checked(int(_libc.capget(_CAPABILITIES_VERSION_3, _FOUND)), "capget")
    return any(_FOUND)


def drop_capabilities() -> None:
    """Give up every capability; harmless where there is none."""
    _checked(int(_libc.capset(_CAPABILITIES_VERSION_3, _NONE)), "capset")


def drop_ambient_capabilities() -> None:
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
