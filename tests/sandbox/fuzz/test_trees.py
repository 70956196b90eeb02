"""Collector and disk watch in any folder: only a reached limit is raised, no link followed, nothing waited for."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nadg.domain.file_names import bytes_of_name
from nadg.domain.limits import Limits
from nadg.sandbox import disk_watch
from nadg.sandbox.collect import Collected, LimitReached, check_limits, collect
from nadg.sandbox.disk_watch import DiskWatch
from nadg.sandbox.remove import remove_tree
from nadg.sandbox.walk import MAX_DEPTH, MAX_NAME_BYTES
from tests.sandbox.folder_blobs import FolderBlobs
from tests.sandbox.fuzz.descriptors import open_descriptors
from tests.sandbox.fuzz.examples import tried
from tests.sandbox.fuzz.trees import Entry, changed_meanwhile, plant, trees

_limits = st.one_of(
    st.just(Limits()),
    st.builds(
        lambda count, size: Limits(artifact_count=count, artifact_bytes=size),
        st.integers(0, 6),
        st.integers(0, 60) | st.sampled_from([4096, 1 << 21, 1 << 40]),
    ),
)


@pytest.fixture(scope="module")
def blobs(tmp_path_factory: pytest.TempPathFactory) -> FolderBlobs:
    return FolderBlobs(tmp_path_factory.mktemp("fuzz") / "blobs")


@contextlib.contextmanager
def _planted(tree: Sequence[Entry]) -> Iterator[int]:
    folder = Path(tempfile.mkdtemp())
    root = os.open(folder, os.O_RDONLY)
    try:
        plant(root, tree)
        yield root
    finally:
        os.close(root)
        remove_tree(folder)


def _files_of(here: int, prefix: bytes = b"", depth: int = 0) -> dict[bytes, int]:
    """Names and sizes of what is to be collected, found in another way than the collector's."""
    found: dict[bytes, int] = {}
    for name in map(os.fsencode, os.listdir(here)):
        seen = os.stat(name, dir_fd=here, follow_symlinks=False)
        whole = prefix + name
        if len(whole) > MAX_NAME_BYTES:
            continue
        if stat.S_ISREG(seen.st_mode) and seen.st_nlink == 1:
            found[whole] = seen.st_size
        elif stat.S_ISDIR(seen.st_mode) and depth + 1 < MAX_DEPTH:
            inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=here)
            found |= _files_of(inner, whole + b"/", depth + 1)
            os.close(inner)
    return found


def _require_sound(collected: Collected, limits: Limits, blobs: FolderBlobs) -> None:
    names = [file.name for file in collected.files]
    assert names == sorted(set(names))
    assert len(names) <= limits.artifact_count
    assert sum(file.blob.size for file in collected.files) <= limits.artifact_bytes
    assert all(note.isprintable() for note in collected.notes)
    assert len(collected.notes) <= 21
    for file in collected.files:
        content = blobs.path(file.blob.sha256).read_bytes()
        assert hashlib.sha256(content).hexdigest() == file.blob.sha256
        assert len(content) == file.blob.size
        assert b"root:" not in content, "a link to the system's list of users was followed"


@given(tree=trees, limits=_limits)
@example(tree=[("fifo", (b"a",), b""), ("symlink", (b"b",), b"/etc/passwd")], limits=Limits())
@example(tree=[("file", (b"d",) * 63 + (b"f",), b"in"), ("file", (b"d",) * 64 + (b"f",), b"out")], limits=Limits())
@tried(60)
def test_what_is_taken_is_what_is_there(blobs: FolderBlobs, tree: Sequence[Entry], limits: Limits) -> None:
    before = len(open_descriptors())
    with _planted(tree) as root:
        there = _files_of(root)
        is_too_much = len(there) > limits.artifact_count or sum(there.values()) > limits.artifact_bytes
        if os.geteuid() != 0 and any(kind == "closed" for kind, _, _ in tree):
            return  # what cannot be opened is noted: `test_collecting.py` has that
        try:
            collected = collect(root, blobs, limits)
        except LimitReached:
            assert is_too_much
            with pytest.raises(LimitReached):
                check_limits(root, limits)
        else:
            assert not is_too_much
            check_limits(root, limits)
            assert {bytes_of_name(file.name): file.blob.size for file in collected.files} == there
            _require_sound(collected, limits, blobs)
            _require_same_bytes(root, collected, blobs)
    assert len(open_descriptors()) == before


def _require_same_bytes(root: int, collected: Collected, blobs: FolderBlobs) -> None:
    for file in collected.files:
        with contextlib.ExitStack() as opened:
            here, (*folders, leaf) = root, bytes_of_name(file.name).split(b"/")
            for name in folders:
                here = os.open(name, os.O_RDONLY, dir_fd=here)
                opened.callback(os.close, here)
            with open(os.open(leaf, os.O_RDONLY, dir_fd=here), "rb") as content:
                assert content.read() == blobs.path(file.blob.sha256).read_bytes()


_SMALL = [("file", (folder, name), b"12345") for folder in (b"a", b"b", b"c") for name in (b"a", b"b", b"c", b"d")]


@given(tree=trees, limits=_limits, seed=st.integers(0, 1 << 30))
@example(tree=_SMALL, limits=Limits(), seed=1)
@example(tree=_SMALL, limits=Limits(artifact_count=10, artifact_bytes=100), seed=2)
@tried(25)
def test_files_that_change_meanwhile_do_no_harm(
    blobs: FolderBlobs, tree: Sequence[Entry], limits: Limits, seed: int
) -> None:
    before = len(open_descriptors())
    with _planted([*_SMALL, *tree]) as root, changed_meanwhile(root, seed):
        for _ in range(3):
            with contextlib.suppress(LimitReached):
                check_limits(root, limits)
            with contextlib.suppress(LimitReached):
                _require_sound(collect(root, blobs, limits), limits, blobs)
    assert len(open_descriptors()) == before


@given(seed=st.integers(0, 1 << 30), limits=_limits)
@tried(5)
def test_the_disk_watch_looks_on_whatever_changes(seed: int, limits: Limits) -> None:
    """It tells of a breach at most once, ends when it is closed, and nothing is raised in the event loop."""
    raised: list[object] = []
    told: list[str] = []

    async def watch(root: int) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: raised.append(context))
        looks = 0

        def check(fd: int, limits: Limits, is_off: object) -> None:
            nonlocal looks
            looks += 1
            if looks >= 4 or told:
                loop.call_soon_threadsafe(seen_enough.set)
            check_limits(fd, limits)

        def breached(why: str) -> None:
            told.append(why)
            seen_enough.set()

        seen_enough = asyncio.Event()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(disk_watch, "INTERVAL_SECONDS", 0.001)
            patch.setattr(disk_watch, "check_limits", check)
            watch = DiskWatch([root, root], limits, breached)
            await asyncio.wait_for(seen_enough.wait(), 30)
            await watch.close()

    before = len(open_descriptors())
    with _planted(_SMALL) as root, changed_meanwhile(root, seed):
        asyncio.run(watch(root))
    assert raised == []
    assert len(told) <= 1
    assert len(open_descriptors()) == before
