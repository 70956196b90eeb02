"""Descriptors of every kind, made on demand, and a count of what is open."""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from hypothesis import strategies as st


def open_descriptors(pid: int | str = "self") -> list[str]:
    """What the descriptors of a process lead to."""
    folder = Path(f"/proc/{pid}/fd")
    targets: list[str] = []
    for name in os.listdir(folder):  # noqa: PTH208 names of descriptors
        with contextlib.suppress(FileNotFoundError):  # that of the listing itself
            targets.append(str((folder / name).readlink()))
    return targets


def _file() -> int:
    with tempfile.TemporaryFile() as file:
        file.write(b"garbage" * 100)
        file.flush()
        return os.dup(file.fileno())


def _folder() -> int:
    return os.open("/", os.O_RDONLY | os.O_DIRECTORY)


def _path_only() -> int:
    return os.open("/", os.O_PATH)


def _null() -> int:
    return os.open(os.devnull, os.O_RDWR)


def _reader() -> int:
    reader, writer = os.pipe()
    os.close(writer)
    return reader


def _writer() -> int:
    reader, writer = os.pipe()
    os.close(reader)
    return writer


def _socket(kind: int, *, says: bytes | None) -> int:
    """One end of a pair: the other one said something, and is closed."""
    near, far = socket.socketpair(socket.AF_UNIX, kind)
    with far:
        if says is not None:
            far.send(says)
    return near.detach()


def _udp() -> int:
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM).detach()


def _event() -> int:
    return os.eventfd(0)


MAKERS: dict[str, Callable[[], int]] = {
    "file": _file,
    "folder": _folder,
    "path": _path_only,
    "null": _null,
    "reader": _reader,
    "writer": _writer,
    "closed peer": lambda: _socket(socket.SOCK_SEQPACKET, says=None),
    "garbage in it": lambda: _socket(socket.SOCK_SEQPACKET, says=b"\xff" * 8),
    "much garbage in it": lambda: _socket(socket.SOCK_SEQPACKET, says=b"\xff" * 9000),
    "stream": lambda: _socket(socket.SOCK_STREAM, says=b"abc"),
    "udp": _udp,
    "event": _event,
}
kinds = st.sampled_from(sorted(MAKERS))


@contextlib.contextmanager
def made(wanted: Sequence[str]) -> Iterator[list[int]]:
    """Descriptors of these kinds, closed at the end."""
    fds: list[int] = []
    try:
        for kind in wanted:
            fds.append(MAKERS[kind]())
        yield fds
    finally:
        for fd in fds:
            os.close(fd)
