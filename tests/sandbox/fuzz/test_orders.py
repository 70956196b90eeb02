"""A zygote's control socket is fed with anything: it goes on, keeps nothing, and carries out good orders."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nadg.domain.tier import Tier
from nadg.sandbox import protocol
from tests.sandbox.fuzz.bare_zygote import BareZygote, bare_zygote
from tests.sandbox.fuzz.descriptors import kinds, made
from tests.sandbox.fuzz.examples import tried

LANE = "{lane}"
_FOLDERS = (
    "", ".", "/", "/nowhere", "/proc/self", "/dev/null", "x" * 4000, "/" + "x/" * 2000, "a\0b", "\udcff\udcfe",
    "{no work}", LANE, LANE + "/", LANE + "/../1", LANE + "/../..", LANE + "/work", LANE + "\0", "{file}",
    "{link}", "{file as work}", LANE + "/" * 5000, LANE + "\n",
)  # fmt: skip


def fork(task: int, size: int = 1024, files: int = 10) -> bytes:
    """An order but for its folder."""
    return protocol.FORK.pack(task, False, size, files)


_numbers = st.integers(0, (1 << 31) - 1)
_folders = st.one_of(st.sampled_from(_FOLDERS).map(os.fsencode), st.binary(max_size=40))
_rooms = st.sampled_from([0, 1024, (1 << 62) - 1, 1 << 62, (1 << 64) - 1])
_orders = st.builds(
    lambda task, size, files, folder: fork(task, size, files) + folder, _numbers, _rooms, _rooms, _folders
)
_words = st.one_of(
    st.binary(min_size=1, max_size=40), _orders, st.builds(bytes, st.sampled_from([4096, 4097, 70_000]))
)
_fds = st.one_of(st.lists(kinds, min_size=3, max_size=3), st.lists(kinds, max_size=5))
Words = Sequence[tuple[bytes, Sequence[str]]]


@pytest.fixture(scope="module")
def odd_folders(zygote: BareZygote) -> dict[str, Path]:
    lanes = zygote.folder.path / "attempts" / "lanes"
    (lanes / "file").touch()
    (lanes / "link").symlink_to("1")
    (zygote.make_lane("no") / "work").rmdir()
    work = zygote.make_lane("odd") / "work"
    work.rmdir()
    work.touch()
    names = {"lane": "1", "file": "file", "link": "link", "no work": "no", "file as work": "odd"}
    return {name: lanes / folder for name, folder in names.items()}


def _filled_in(word: bytes, folders: dict[str, Path]) -> bytes:
    for name, path in folders.items():
        word = word.replace(b"{%s}" % name.encode(), os.fsencode(path))
    return word


@given(words=st.lists(st.tuples(_words, _fds), min_size=1, max_size=6))
@example(words=[(fork(1) + b"{no work}", ["garbage in it", "null", "null"])] * 3)
@example(words=[(fork(1) + b"{file as work}", ["garbage in it", "null", "null"])] * 3)
@example(words=[(fork(1) + b"{lane}" + b"/" * 5000, ["garbage in it", "null", "null"])])
@example(words=[(fork(1) + b"{lane}", ["null"] * 253), (b"x", ["writer"] * 253)])
@tried(25)
def test_a_zygote_goes_on_whatever_it_is_told(
    zygote: BareZygote, odd_folders: dict[str, Path], words: Words
) -> None:
    before = zygote.rulesets()
    for word, wanted in words:
        with made(wanted) as fds:
            socket.send_fds(zygote.control, [_filled_in(word, odd_folders)], fds)
    zygote.require_good_run()
    zygote.require_nothing_left()
    lanes = {word for word, _ in words if b"{no work}" not in word}  # a list of files is kept for each
    assert zygote.rulesets() <= before + len(lanes)


def test_a_word_that_is_cut_is_no_order(zygote: BareZygote) -> None:
    """What a zygote has room for of it would be one, of a folder with too long a name."""
    folder = os.fsencode(zygote.lane)
    folder += b"/" * (4096 - len(folder) - protocol.FORK.size)
    for end, is_order in ((b"", True), (b"elsewhere", False)):
        with made(["garbage in it", "null", "null"]) as fds:
            socket.send_fds(zygote.control, [fork(5), folder + end], fds)
        assert (5 in _tasks_until_a_good_run(zygote)) is is_order


def _tasks_until_a_good_run(zygote: BareZygote) -> set[int]:
    """Numbers of the tasks that it speaks of."""
    tasks: set[int] = set()
    hear = zygote.next_word

    def listen() -> tuple[bytes, list[int]]:
        word, fds = hear()
        tasks.add(protocol.REFUSED.unpack_from(word)[1])
        return word, fds

    zygote.next_word = listen  # type: ignore[method-assign]  # it listens as well
    try:
        zygote.require_good_run()
    finally:
        zygote.next_word = hear  # type: ignore[method-assign]  # as before
    return tasks


def test_an_empty_word_ends_a_zygote_as_a_closed_socket_does(short_folder: Path, tier: Tier) -> None:
    """The kernel does not tell the two apart; a task that waits for its job ends with its zygote."""
    root = short_folder / f"empty-{tier}"
    root.mkdir()
    with bare_zygote(root, tier.value) as zygote, made(["null"]) as (null,):
        channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with channel:
            with theirs:
                zygote.good_order(theirs.fileno(), null)
            word, fds = zygote.next_word()
            assert word[:1] == b"S"
            socket.send_fds(zygote.control, [b""], [null])
            assert zygote.next_word()[0] == b""
            channel.settimeout(30)
            while channel.recv(100):
                pass
            for fd in fds:
                os.close(fd)
