"""Collecting from hostile folders: limits before reading, any names, no waiting, called off in time."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nadg.domain.blob import BlobRef
from nadg.domain.limits import Limits
from nadg.sandbox import collect as module
from nadg.sandbox.cancellation import in_thread
from nadg.sandbox.collect import Collected, LimitReached, Stopped, collect
from nadg.sandbox.remove import remove_tree

LIMITS = Limits()


class Blobs:
    """The shared sandbox's blobs; tells of every read of a file, which begins with a question for its hash."""

    def __init__(self, blobs: Any, on_read: Callable[[], None] = lambda: None) -> None:
        self._blobs, self._on_read = blobs, on_read
        self.reads = 0

    def has(self, sha256: str) -> bool:
        self.reads += 1
        self._on_read()
        return bool(self._blobs.has(sha256))

    def path(self, sha256: str) -> Path:
        return Path(self._blobs.path(sha256))

    def create(self) -> Any:
        return self._blobs.create()


async def collect_aside(fd: int, blobs: Blobs, limits: Limits) -> Collected:
    return await in_thread(lambda is_off: collect(fd, blobs, limits, is_off))


@pytest.fixture
def work(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "work"
    folder.mkdir()
    yield folder
    remove_tree(folder)  # some are deeper than what tidies up after the tests can go


@pytest.fixture
def work_fd(work: Path) -> Iterator[int]:
    fd = os.open(work, os.O_RDONLY)
    yield fd
    os.close(fd)


def names(collected: Collected) -> list[str]:
    return [file.name for file in collected.files]


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 counted, not walked


def test_too_many_files_are_refused_before_any_is_read(work: Path, work_fd: int, box: Any) -> None:
    for index in range(30):
        (work / f"{index}").write_text(f"{index}")
    blobs = Blobs(box.blobs)
    with pytest.raises(LimitReached, match=r"^artifact limit of 29 files reached$"):
        collect(work_fd, blobs, Limits(artifact_count=29))
    assert blobs.reads == 0
    assert len(collect(work_fd, blobs, Limits(artifact_count=30)).files) == 30
    assert blobs.reads == 30


def test_a_sparse_file_of_a_terabyte_is_refused_by_its_size(work: Path, work_fd: int, box: Any) -> None:
    (work / "small").write_text("small")
    with (work / "huge").open("wb") as file:
        file.truncate(1 << 40)
    blobs = Blobs(box.blobs)
    with pytest.raises(LimitReached, match=r"^artifact limit of 1 GiB reached$"):
        collect(work_fd, blobs, LIMITS)
    assert blobs.reads == 0
    (work / "huge").unlink()
    assert names(collect(work_fd, blobs, LIMITS)) == ["small"]


def test_the_bytes_of_all_files_together_count(work: Path, work_fd: int, box: Any) -> None:
    for index in range(3):
        (work / f"{index}").write_text("x" * 100)
    with pytest.raises(LimitReached, match="reached"):
        collect(work_fd, Blobs(box.blobs), Limits(artifact_bytes=299))
    assert len(collect(work_fd, Blobs(box.blobs), Limits(artifact_bytes=300)).files) == 3


def test_very_many_folders_are_too_much_as_well(
    work: Path, work_fd: int, box: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MAX_OTHERS", 10)
    (work / "file").touch()
    for index in range(12):
        (work / f"d{index}").mkdir()
    assert names(collect(work_fd, Blobs(box.blobs), Limits(artifact_count=1))) == ["file"]
    (work / "d12").mkdir()
    with pytest.raises(LimitReached, match="of 1 files reached by 13 folders and other things"):
        collect(work_fd, Blobs(box.blobs), Limits(artifact_count=1))


@pytest.mark.slow
def test_a_hundred_thousand_files_are_collected_and_removed(work: Path, work_fd: int, box: Any) -> None:
    for folder in ("a", "b"):
        (work / folder).mkdir()
        for index in range(50_000):
            os.mknod(work / folder / str(index))
    collected = collect(work_fd, Blobs(box.blobs), Limits(artifact_count=100_000))
    assert names(collected) == sorted(f"{folder}/{index}" for folder in ("a", "b") for index in range(50_000))
    assert collected.notes == ()
    remove_tree(work)
    assert not work.exists()


def test_folders_as_deep_as_the_system_allows_are_left_out_with_one_note(
    work: Path, work_fd: int, box: Any
) -> None:
    before = open_descriptors()
    here = os.dup(work_fd)
    for _ in range(2000):
        os.close(os.open("f", os.O_CREAT, dir_fd=here))
        os.mkdir("d", dir_fd=here)
        deeper = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = deeper
    os.close(here)
    collected = collect(work_fd, Blobs(box.blobs), LIMITS)
    assert names(collected) == sorted("d/" * depth + "f" for depth in range(64))
    assert len(collected.notes) == 1
    assert "folders nest deeper than 64" in collected.notes[0]
    assert open_descriptors() == before


def test_two_names_that_read_alike_are_both_collected(work: Path, work_fd: int, box: Any) -> None:
    for name in (b"\xff", b"\\xff", b"\\x5cxff", b"a\nb"):
        Path(os.fsdecode(os.path.join(os.fsencode(work), name))).touch()  # noqa: PTH118 bytes
    collected = collect(work_fd, Blobs(box.blobs), LIMITS)
    assert names(collected) == sorted(["\\xff", "\\x5cxff", "\\x5cx5cxff", "a\nb"])


def test_a_note_is_one_harmless_line_whatever_the_file_is_called(work: Path, work_fd: int, box: Any) -> None:
    for name in ("a\nb", "gpj.\u202eexe", "\x1b[2J", "x" * 255):
        (work / name).symlink_to("/etc/passwd")
    (work / "good").touch()
    collected = collect(work_fd, Blobs(box.blobs), LIMITS)
    assert names(collected) == ["good"]
    assert [note.partition(":")[0] for note in collected.notes] == [
        "\\x1b[2J",
        "a\\x0ab",
        "gpj.\\u202eexe",
        "x" * 79 + "…",
    ]
    assert all(note.isprintable() for note in collected.notes)


def test_notes_are_few_however_many_files_are_left_out(work: Path, work_fd: int, box: Any) -> None:
    for index in range(50):
        os.mkfifo(work / str(index))
    collected = collect(work_fd, Blobs(box.blobs), LIMITS)
    assert len(collected.notes) == 21
    assert collected.notes[-1] == "30 more files or folders were not collected"


def test_it_stops_soon_once_it_is_off(work: Path, work_fd: int, box: Any) -> None:
    """Also within the counting and within a file."""
    for index in range(10):
        (work / str(index)).write_text("x")
    before, is_off = open_descriptors(), threading.Event()
    blobs = Blobs(box.blobs, is_off.set)
    with pytest.raises(Stopped):
        collect(work_fd, blobs, LIMITS, is_off.is_set)
    assert blobs.reads == 1
    with pytest.raises(Stopped):
        collect(work_fd, blobs, LIMITS, is_off.is_set)
    assert blobs.reads == 1
    assert open_descriptors() == before


def test_cancelling_stops_the_thread_and_waits_for_it(work: Path, work_fd: int, box: Any) -> None:
    for index in range(1000):
        (work / str(index)).write_text(f"{index}")

    async def inside() -> int:
        reached, go_on = asyncio.Event(), threading.Event()
        loop = asyncio.get_running_loop()

        def on_read() -> None:
            loop.call_soon_threadsafe(reached.set)
            go_on.wait(20)

        blobs = Blobs(box.blobs, on_read)
        task = asyncio.create_task(collect_aside(work_fd, blobs, LIMITS))
        await reached.wait()
        task.cancel()
        await asyncio.sleep(0)
        assert not task.done(), "the folder is still being read"
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        return blobs.reads

    assert asyncio.run(inside()) == 1


def test_aside_gives_what_collect_gives(work: Path, work_fd: int, box: Any) -> None:
    (work / "a").write_text("a")
    collected = asyncio.run(collect_aside(work_fd, Blobs(box.blobs), LIMITS))
    assert collected == collect(work_fd, Blobs(box.blobs), LIMITS)
    with pytest.raises(LimitReached):
        asyncio.run(collect_aside(work_fd, Blobs(box.blobs), Limits(artifact_count=0)))


def test_what_may_not_be_entered_is_noted(work: Path, short_folder: Path, box: Any) -> None:
    """As a worker without privileges: folders and files that their owner took all rights from, or some."""
    if os.geteuid() != 0:
        _lock_some(work)
        fd = os.open(work, os.O_RDONLY)
        collected = collect(fd, Blobs(box.blobs), LIMITS)
        os.close(fd)
    else:
        collected = _collect_unprivileged(work, box)
    assert names(collected) == ["good"]
    assert [note.partition(":")[0] for note in collected.notes] == ["closed", "file", "listed/inside", "passed"]
    assert all("it cannot be opened (Permission denied)" in note for note in collected.notes)


def _lock_some(work: Path) -> None:
    (work / "good").touch()
    (work / "file").touch(mode=0)
    for name, mode in (("closed", 0), ("listed", 0o400), ("passed", 0o100)):
        (work / name).mkdir()
        (work / name / "inside").touch()
        (work / name).chmod(mode)


class _HasAll:
    """Blobs for a process that may write nothing."""

    def has(self, sha256: str) -> bool:
        return True

    def path(self, sha256: str) -> Path:
        raise NotImplementedError

    def create(self) -> Any:
        raise NotImplementedError


def _collect_unprivileged(work: Path, box: Any) -> Collected:
    """In a child that gave up being root."""
    import msgspec

    reader, writer = os.pipe()
    work.chmod(0o777)
    fd = os.open(work, os.O_RDONLY)
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
            os.fchdir(fd)
            _lock_some(Path())
            os.write(writer, msgspec.json.encode(collect(fd, _HasAll(), LIMITS)))
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with open(reader, "rb") as answer:
        collected = msgspec.json.decode(answer.read(), type=Collected)
    os.close(fd)
    return collected


def test_the_receipt_of_a_blob_is_its_content(work: Path, work_fd: int, box: Any) -> None:
    """A file of several pieces, once written and once only hashed."""
    (work / "big").write_bytes(b"0123456789" * 300_000)
    (work / "copy").write_bytes(b"0123456789" * 300_000)
    first, second = collect(work_fd, Blobs(box.blobs), LIMITS).files
    assert first.blob == second.blob == BlobRef(sha256=first.blob.sha256, size=3_000_000)
    assert box.blobs.path(first.blob.sha256).read_bytes() == b"0123456789" * 300_000
