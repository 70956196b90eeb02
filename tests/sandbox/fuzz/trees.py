"""Folders as hostile code leaves them: any names, any kinds of entries, and someone who changes them meanwhile."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import threading
from collections.abc import Iterator, Sequence

from hypothesis import strategies as st

Entry = tuple[str, tuple[bytes, ...], bytes]
"""A kind, the folders on the way with its own name, and what is in it."""

_SHORT = st.binary(min_size=1, max_size=4).map(lambda raw: raw.translate(None, b"/\0") or b"x")
_NAMES = st.one_of(
    st.sampled_from([b"a", b"b", b"c", b"\xff", b"\\xff", b"a\nb", b"\xe2\x80\xae", b"...", b"-rf", b"n" * 255]),
    _SHORT,
).filter(lambda name: name not in (b".", b".."))
_PATHS = st.one_of(
    st.lists(_NAMES, min_size=1, max_size=3),
    st.builds(lambda depth, name: [b"d"] * depth + [name], st.integers(60, 70), _NAMES),
    st.builds(lambda depth, name: [b"w" * 250] * depth + [name], st.integers(2, 5), _NAMES),
).map(tuple)
_KINDS = ("file", "file", "file", "folder", "symlink", "hard link", "fifo", "socket", "sparse", "closed", "large")
_MANY = 150_000
"""So often is in a large file what is in a small one: more than one piece of its reader's."""
entries = st.tuples(st.sampled_from(_KINDS), _PATHS, st.binary(max_size=20))
trees = st.lists(entries, max_size=14)


def plant(root: int, tree: Sequence[Entry]) -> None:
    """Make the entries below an open folder; those for which there is no place are left out."""
    for kind, path, content in tree:
        with contextlib.suppress(OSError), contextlib.ExitStack() as opened:
            here = os.dup(root)
            opened.callback(os.close, here)
            for name in path[:-1]:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(name, dir_fd=here)
                here = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=here)
                opened.callback(os.close, here)
            _make(kind, here, path[-1], content)


def _make(kind: str, here: int, name: bytes, content: bytes) -> None:
    match kind:
        case "folder":
            os.mkdir(name, dir_fd=here)
        case "symlink":
            os.symlink(content.replace(b"\0", b"") or b"/etc/passwd", name, dir_fd=here)
        case "fifo":
            os.mkfifo(name, dir_fd=here)
        case "socket":
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind(b"/proc/self/fd/%d/%s" % (here, name))
        case _:
            _make_file(kind, here, name, content)


def _make_file(kind: str, here: int, name: bytes, content: bytes) -> None:
    fd = os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600, dir_fd=here)
    try:
        os.write(fd, content * (_MANY if kind == "large" else 1))
        if kind == "sparse":
            os.ftruncate(fd, 1 << 21 if content else 1 << 42)
        elif kind == "hard link":
            os.link(name, name[:200] + b"-2", src_dir_fd=here, dst_dir_fd=here)
        elif kind == "closed":
            os.fchmod(fd, 0)
    finally:
        os.close(fd)


@contextlib.contextmanager
def changed_meanwhile(root: int, seed: int) -> Iterator[None]:
    """Someone renames, removes, cuts, extends and replaces what is there, until the end."""
    is_over = threading.Event()
    chance = random.Random(seed)

    def change() -> None:
        while not is_over.is_set():
            with contextlib.suppress(OSError):
                _change_one(root, chance)

    thread = threading.Thread(target=change)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def _change_one(root: int, chance: random.Random) -> None:
    with contextlib.ExitStack() as opened:
        here = os.dup(root)
        opened.callback(os.close, here)
        names = os.listdir(here)  # noqa: PTH208 a descriptor has no path
        name = chance.choice(names or ["a"])
        if chance.random() < 0.5:
            here = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=here)
            opened.callback(os.close, here)
            name = chance.choice(os.listdir(here) or ["a"])  # noqa: PTH208 as above
        match chance.randrange(6):
            case 0:
                os.rename(name, chance.choice("abc"), src_dir_fd=here, dst_dir_fd=chance.choice([here, root]))
            case 1:
                os.unlink(name, dir_fd=here)
                os.symlink("/etc/passwd", name, dir_fd=here)
            case 2:
                os.unlink(name, dir_fd=here)
                os.mkfifo(name, dir_fd=here)
            case 3:
                os.mkdir(chance.choice("abcd"), dir_fd=here)
            case _:
                flags = os.O_CREAT | os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK
                fd = os.open(name, flags, 0o600, dir_fd=here)
                opened.callback(os.close, fd)
                os.ftruncate(fd, chance.choice([0, 5, 1 << 16]))
                os.write(fd, chance.randbytes(9))
