"""The words that attacks are written in, and how their refusal is checked against their success outside."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from tests.sandbox.threats.combinations import refusals
from tests.sandbox.threats.hosts import Box

TRY: Final = '''
import ctypes, errno, os, socket
libc = ctypes.CDLL(None, use_errno=True)
def refused(act, *arguments, **named):
    """The name of the error that an act fails with; None where it works."""
    try:
        act(*arguments, **named)
    except OSError as error:
        return errno.errorcode.get(error.errno, "OSError")
    return None
def call(number, *arguments):
    """A raw system call; the name of its error."""
    ctypes.set_errno(0)
    done = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(a) if isinstance(a, int) else a for a in arguments])
    return errno.errorcode[ctypes.get_errno()] if done == -1 else None
def read(path):
    with open(path, "rb") as file: return file.read(1)
def write(path):
    with open(path, "wb") as file: return file.write(b"x")
'''

X86_64_ONLY: Final = pytest.mark.skipif(os.uname().machine != "x86_64", reason="call numbers of x86-64")


def attack(box: Box, source: str, **request: Any) -> Any:
    """The result of an attempt whose code may use the words of TRY."""
    return box.value(TRY + textwrap.dedent(source), **request)


def outside(box: Box, source: str) -> Any:
    """The result of the same code as the same user with no sandbox around it."""
    return box.control(TRY + textwrap.dedent(source))


def check_refused(box: Box, found: Sequence[str | None]) -> None:
    """Every act ended in an error that means a refusal."""
    allowed = refusals(box.combination)
    others = [(place, code) for place, code in enumerate(found) if code not in allowed]
    assert not others, f"not refused, as (place, error): {others}; all: {found}"


def check_only_inside(box: Box, source: str) -> None:
    """Each act of the list `result` works outside and is refused inside."""
    check_refused(box, attack(box, source))
    control = outside(box, source)
    assert control == [None] * len(control), f"the control must work, or a refusal says nothing: {control}"


def unlikely_name() -> str:
    """A process name, at most 15 bytes long, that only this run of the tests uses."""
    return f"nadg-{os.getpid()}"


def is_running_as(name: str) -> list[int]:
    """The processes on this machine with that name, whatever namespace they are in."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if (entry / "comm").read_text().strip() == name and "\nState:\tZ" not in _status(entry):
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def _status(entry: Path) -> str:
    return (entry / "status").read_text()
