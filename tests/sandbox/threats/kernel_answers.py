"""Makes the kernel claim another Landlock ABI to this process and its children, for as long as it lives."""

from __future__ import annotations

import ctypes
import fcntl
import os
import struct
import threading
from typing import Final

from nadg.sandbox import linux
from nadg.sandbox.layers.syscalls import this_machine
from tests.sandbox.threats.docker_filter import ask_about_landlock_versions

_SET_MODE_FILTER: Final = 1
_NEW_LISTENER: Final = 8
_RECEIVE: Final = 0xC0502100
_SEND: Final = 0xC0182101
_QUESTION_BYTES: Final = 80
_ANSWER: Final = struct.Struct("=QqiI")


def claim_landlock_abi(abi: int) -> None:
    """Answer every question for the ABI with this number. Needs no_new_privs or root."""
    machine = this_machine()
    if machine is None:
        raise OSError("no system call table for this machine")
    program = ask_about_landlock_versions()
    arguments = (_SET_MODE_FILTER, _NEW_LISTENER, ctypes.addressof(program.program_for(os.getpid())))
    listener = linux.syscall("seccomp", machine.numbers["seccomp"], *arguments)
    threading.Thread(target=_answer, args=(listener, abi), daemon=True).start()


def _answer(listener: int, abi: int) -> None:
    while True:
        question = bytearray(_QUESTION_BYTES)
        try:
            fcntl.ioctl(listener, _RECEIVE, question)
            number = struct.unpack_from("=Q", question)[0]
            fcntl.ioctl(listener, _SEND, _ANSWER.pack(number, abi, 0, 0))
        except FileNotFoundError:
            continue  # who asked is gone
        except OSError:
            return
