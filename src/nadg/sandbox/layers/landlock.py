"""The file and network layer: a Landlock ruleset that lists what may be opened, and nothing else can be."""

from __future__ import annotations

import contextlib
import ctypes
import os
import stat
import struct
from collections.abc import Iterable
from typing import Final, NamedTuple

from nadg.sandbox import linux
from nadg.sandbox.layers.syscalls import Machine

MINIMUM_ABI: Final = 3
"""From here on truncation is covered."""

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _REMOVE_DIR, _REMOVE_FILE = (1 << place for place in range(6))
_MAKE_CHAR, _MAKE_DIR, _MAKE_REG, _MAKE_SOCK, _MAKE_FIFO, _MAKE_BLOCK, _MAKE_SYM = (
    1 << place for place in range(6, 13)
)
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15

_READ: Final = _READ_FILE | _READ_DIR
_WRITE: Final = _READ | _WRITE_FILE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG | _REFER | _TRUNCATE
_ON_FILES: Final = _WRITE_FILE | _READ_FILE | _TRUNCATE
_NET_BIND_AND_CONNECT: Final = 3
_SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS: Final = 3
_RULE_PATH_BENEATH: Final = 1
_RULE: Final = struct.Struct("=Qi")
_CREATE_RULESET_VERSION: Final = 1


def abi_version(machine: Machine) -> int:
    """The kernel's Landlock ABI; 0 where it has none or it is switched off."""
    with contextlib.suppress(OSError):
        number = machine.numbers["landlock_create_ruleset"]
        return linux.syscall("landlock_create_ruleset", number, 0, 0, _CREATE_RULESET_VERSION)
    return 0


class Grant(NamedTuple):
    """A right to everything under an O_PATH descriptor."""

    fd: int
    access: int


def reading(path: str) -> Grant:
    """A file, or a folder with all beneath it, may be read and listed."""
    return _grant(path, _READ, _READ_FILE)


def listing(path: str) -> Grant:
    """Folders may be listed, their files not read."""
    return _grant(path, _READ_DIR, 0)


def writing(path: str) -> Grant:
    """Files under a folder may be made, changed, moved and removed; or a device file be written."""
    return _grant(path, _WRITE, _ON_FILES)


def _grant(path: str, of_folder: int, of_file: int) -> Grant:
    fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    return Grant(fd, of_folder if stat.S_ISDIR(os.fstat(fd).st_mode) else of_file)


class Ruleset:
    """A ruleset being made; `enter` puts it on this process for good, as often as there are processes."""

    def __init__(self, machine: Machine, abi: int) -> None:
        if abi < MINIMUM_ABI:
            raise OSError(f"Landlock ABI {abi} does not cover truncation; {MINIMUM_ABI} is needed")
        self._numbers = machine.numbers
        handled_files = (1 << 15) - 1 | (_IOCTL_DEV if abi >= 5 else 0)
        network = _NET_BIND_AND_CONNECT if abi >= 4 else 0
        scopes = _SCOPE_ABSTRACT_SOCKETS_AND_SIGNALS if abi >= 6 else 0
        size = 24 if abi >= 6 else 16 if abi >= 4 else 8
        attributes = struct.pack("=QQQ", handled_files, network, scopes)[:size]
        given = ctypes.create_string_buffer(attributes, size)
        self._fd = linux.syscall(
            "landlock_create_ruleset",
            self._numbers["landlock_create_ruleset"],
            ctypes.addressof(given),
            size,
        )
        self._rule = ctypes.create_string_buffer(12)

    def allow(self, grants: Iterable[Grant]) -> None:
        """Let what is under each descriptor be used so."""
        number, ruleset, rule = self._numbers["landlock_add_rule"], self._fd, ctypes.addressof(self._rule)
        for fd, access in grants:
            _RULE.pack_into(self._rule, 0, access, fd)
            linux.syscall("landlock_add_rule", number, ruleset, _RULE_PATH_BENEATH, rule)

    def allow_once(self, grant: Grant) -> None:
        """As `allow`, for a right that nobody keeps: its descriptor is closed."""
        try:
            self.allow((grant,))
        finally:
            os.close(grant.fd)

    def enter(self) -> None:
        """Restrict this process and all threads it will start; needs no_new_privs and a single thread."""
        linux.restrict_self(self._numbers["landlock_restrict_self"], self._fd)

    def close(self) -> None:
        os.close(self._fd)
