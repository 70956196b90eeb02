"""Very many blobs over one link: few files open, few wants unanswered, and all of them arrive."""

from __future__ import annotations

import asyncio
import hashlib
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from nadg.domain.blob import BlobRef
from nadg.domain.errors import BlobRefused, NotFound
from nadg.link.blobfolder import BlobFile, BlobFolder
from nadg.link.frames import CHUNK_BYTES, BlobAbsent, BlobData, BlobWant
from nadg.link.session import MAX_WANTS
from nadg.link.transfers import LEAST_WANT_BYTES, MAX_BEGUN, WINDOW_BYTES, Transfers
from tests.link.test_session import Ends, with_ends


class Counted(BlobFolder):
    """Knows how many blobs are being written."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.open = self.most_open = 0

    def create(self) -> BlobFile:
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        folder = self

        class Writer(BlobFile):
            _is_counted = True

            def _close(self) -> None:
                super()._close()
                folder.open -= self._is_counted
                self._is_counted = False

        return Writer(self, self._incoming)


@pytest.fixture
def few_descriptors() -> Iterator[None]:
    """As many files as many systems let a process open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(1024, hard), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("few_descriptors")
def test_more_small_blobs_than_files_may_be_open_or_wants_unanswered(tmp_path: Path) -> None:
    async def use(ends: Ends) -> None:
        refs = [ends.left_blobs.put(f"{number}".encode()) for number in range(MAX_WANTS + 2000)]
        await ends.right.fetch(refs)
        assert all(ends.right_blobs.has(ref.sha256) for ref in refs)

    with_ends(tmp_path, use)


@pytest.mark.parametrize(
    ("size", "count", "asked", "opened"),
    [
        (10, 5000, WINDOW_BYTES // LEAST_WANT_BYTES, 1),
        (CHUNK_BYTES, 100, WINDOW_BYTES // CHUNK_BYTES, 1),
        (2 * CHUNK_BYTES, MAX_BEGUN + 9, WINDOW_BYTES // CHUNK_BYTES, MAX_BEGUN),
    ],
)
def test_wants_and_open_files_are_bounded(tmp_path: Path, size: int, count: int, asked: int, opened: int) -> None:
    async def body() -> None:
        blobs, wants = Counted(tmp_path), list[BlobWant]()
        transfers = Transfers(blobs, wants.append)
        datas = [number.to_bytes(2, "big").ljust(size, b"x") for number in range(count)]
        contents = {hashlib.sha256(data).hexdigest(): data for data in datas}
        futures = transfers.begin([BlobRef(sha256=name, size=size) for name in contents])
        most = 0
        while wants:
            most = max(most, len(wants))
            want = wants.pop(0)
            piece = contents[want.sha256][want.offset : want.offset + want.length]
            transfers.data(BlobData(sha256=want.sha256, offset=want.offset, data=piece))
        assert all(future.done() and future.exception() is None for future in futures)
        assert all(blobs.read(name) == data for name, data in contents.items())
        assert (most, blobs.most_open, blobs.open) == (asked, opened, 0)

    asyncio.run(body())


def test_large_blobs_that_fail_make_room_for_the_next(tmp_path: Path) -> None:
    async def body() -> None:
        blobs, wants = Counted(tmp_path), list[BlobWant]()
        transfers = Transfers(blobs, wants.append)
        refs = [BlobRef(sha256=f"{number:064x}", size=2 * CHUNK_BYTES) for number in range(3 * MAX_BEGUN)]
        futures = transfers.begin(refs)
        while wants:
            want = wants.pop(0)
            if int(want.sha256, 16) % 2:
                transfers.absent(BlobAbsent(sha256=want.sha256, reason="gone"))
            else:
                transfers.data(BlobData(sha256=want.sha256, offset=want.offset, data=bytes(want.length)))
        failures = [type(future.exception()) for future in futures]
        assert failures == [BlobRefused, NotFound] * (len(refs) // 2)
        assert blobs.open == 0
        assert blobs.most_open <= MAX_BEGUN

    asyncio.run(body())


def test_a_disk_that_takes_nothing_fails_the_blob_and_not_the_link(tmp_path: Path) -> None:
    class Full(BlobFolder):
        def create(self) -> BlobFile:
            raise OSError(28, "No space left on device")

    async def body() -> None:
        wants = list[BlobWant]()
        transfers = Transfers(Full(tmp_path), wants.append)
        small, empty = transfers.begin([BlobRef(sha256="0" * 64, size=1), BlobRef(sha256="1" * 64, size=0)])
        transfers.data(BlobData(sha256=wants[0].sha256, offset=0, data=b"x"))
        for future in (small, empty):
            with pytest.raises(OSError, match="No space left"):
                future.result()

    asyncio.run(body())
