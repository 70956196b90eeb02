"""Messages between the worker and a zygote, and between the worker and a task: one datagram each.

Worker to zygote: FORK with the task's lane and the descriptors of its channel, stdout and stderr. Zygote to
worker: READY or FAILED once; per task STARTED (with a pidfd where the system has them) and EXITED, or
REFUSED. Closing the socket ends the zygote and all its tasks.

Worker to task, over its channel: JOB with the descriptors of the job memory and of large values; the end of
the channel before that lets the task go. Task to worker: WORK_FOLDER with that folder's descriptor where it is
in memory; then SET_UP when every layer is on, or the name of the step that failed. A task closes its channel
before it runs its code.
"""

from __future__ import annotations

import math
import os
import socket
import struct
import sys
from typing import Final

import msgspec

FORK: Final = struct.Struct("=I?QQ")
"""Task number, whether there is time to practise, bytes and files that a work folder in memory may hold; then the
task's lane."""
FORK_FDS: Final = 3
NO_SIZE: Final = 1 << 62
"""Nothing is so large: with a little more the kernel might take it for no bound."""
READY: Final = b"R"
FAILED: Final = b"F"
STARTED: Final = struct.Struct("=cII")
"""b"S", task number, process id as the zygote sees it."""
EXITED: Final = struct.Struct("=cIiddQ")
"""b"X", task number, wait status, user and system seconds, greatest resident bytes."""
REFUSED: Final = struct.Struct("=cI")
"""b"N", task number; then the reason as text."""
MAX_MESSAGE_BYTES: Final = 1 << 16

JOB: Final = struct.Struct("=Q")
"""Size of the job memory."""
WORK_FOLDER: Final = b"W"
SET_UP: Final = b"\x01"
MAX_FDS: Final = 253
"""The kernel's own bound for one datagram."""
_FD: Final = struct.Struct("=i")
_PROCESS_IDS: Final = 1 << 31
_WAIT_STATUSES: Final = 0xFFFF
_BYTES: Final = 1 << 63
_TEXT_BYTES: Final = 2000
DESCRIPTORS_BYTES: Final = socket.CMSG_SPACE(MAX_FDS * _FD.size)
SOCKET_KIND: Final = socket.SOCK_SEQPACKET if sys.platform == "linux" else socket.SOCK_DGRAM
CLOEXEC: Final = getattr(socket, "MSG_CMSG_CLOEXEC", 0)
IS_CUT: Final = socket.MSG_TRUNC | socket.MSG_CTRUNC
"""Flags of a message that was longer, or had more descriptors, than its receiver had room for."""

Ancillary = list[tuple[int, int, bytes]]


def descriptors_in(ancillary: Ancillary) -> list[int]:
    """The descriptors that came with a message; the standard library's way costs three times as much."""
    return [fd for _, _, data in ancillary for (fd,) in _FD.iter_unpack(data)]


def with_descriptor(fd: int) -> Ancillary:
    """One descriptor, to go with a message."""
    return [(socket.SOL_SOCKET, socket.SCM_RIGHTS, _FD.pack(fd))]


class Nonsense(Exception):
    """A message that no zygote sends; the text says what is wrong with it."""


def read_started(message: bytes) -> tuple[int, int]:
    """Task number and process id. Raises Nonsense."""
    if len(message) != STARTED.size:
        raise Nonsense("a start of the wrong size")
    _, task, pid = STARTED.unpack(message)
    if not 0 < pid < _PROCESS_IDS:
        raise Nonsense(f"a process with the number {pid}")
    return task, pid


def read_exited(message: bytes) -> tuple[int, int, float, int]:
    """Task number, wait status of an end, CPU seconds, greatest resident bytes. Raises Nonsense."""
    if len(message) != EXITED.size:
        raise Nonsense("an end of the wrong size")
    _, task, status, user, system, resident = EXITED.unpack(message)
    if not (0 <= status <= _WAIT_STATUSES and (os.WIFEXITED(status) or os.WIFSIGNALED(status))):
        raise Nonsense(f"an end with the wait status {status}")
    if not (0 <= user + system < math.inf and resident < _BYTES):
        raise Nonsense("an end after impossible use of the machine")
    return task, status, user + system, resident


def read_refused(message: bytes) -> tuple[int, str]:
    """Task number and reason. Raises Nonsense."""
    if len(message) < REFUSED.size:
        raise Nonsense("a refusal of the wrong size")
    _, task = REFUSED.unpack_from(message)
    return task, text_of(message[REFUSED.size :])


def text_of(data: bytes) -> str:
    """What a zygote says in words, cut to what it ever has to say."""
    return data[:_TEXT_BYTES].decode("utf-8", "replace")


def read_ready(message: bytes) -> ZygoteFacts:
    """Raises Nonsense."""
    try:
        return _FACTS.decode(message[len(READY) :])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Nonsense("facts about itself that cannot be read") from error


class ZygoteOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What a zygote is told at its start, on its command line; nothing secret."""

    tier: str
    modules: tuple[str, ...]
    folder: str
    """The sandbox's own, with `lanes`, `settings` and `root` in it."""
    task_uid: int | None
    """The user to become; None where the worker itself is an ordinary user."""

    @property
    def settings_folder(self) -> str:
        """Holds caches that tasks may read, such as the font list."""
        return f"{self.folder}/settings"


class ZygoteFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a zygote says of itself when it is ready."""

    landlock_abi: int
    mapped_bytes: int
    resident_bytes: int
    threads: int
    filter_length: int
    absent_modules: tuple[str, ...] = ()
    private_mounts: tuple[str, ...] = ()
    """Folders that tasks see through a private, read-only view."""


_FACTS: Final = msgspec.msgpack.Decoder(ZygoteFacts)
