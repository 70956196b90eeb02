"""Blobs that are coming in over one link: what to ask for next, and what to make of the answers.

The side that wants asks for pieces and has only so many bytes asked for at a time, over all blobs
together; that is the flow control. The other side keeps no state: it answers each want, in order.
However many blobs are wanted, few files are open and few wants are unanswered at a time.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from nadg.domain.blob import BlobRef, Blobs, BlobWriter
from nadg.domain.errors import BlobRefused, LinkRefused, NotFound
from nadg.link.frames import CHUNK_BYTES, BlobAbsent, BlobData, BlobWant

if TYPE_CHECKING:
    Future = asyncio.Future[None]

WINDOW_BYTES = 16 * CHUNK_BYTES
"""Asked for and not yet here: 4 MiB, which fills a 40 MB/s path with a round trip of 100 ms."""


LEAST_WANT_BYTES = 4 << 10
"""What a want of less counts for in the window: so at most 1,024 are unanswered, for blobs however small."""
MAX_BEGUN = 64
"""Blobs of several pieces that are coming in at a time: each is an open file. One piece is written whole."""


class _Transfer:
    def __init__(self, ref: BlobRef) -> None:
        self.ref = ref
        self.writer: BlobWriter | None = None  # from the first piece on
        self.asked: deque[int] = deque()  # lengths of the wants that are not answered
        self.requested = 0
        self.received = 0
        self.failure: Exception | None = None
        self.done: Future = asyncio.get_running_loop().create_future()

    @property
    def wants_more(self) -> bool:
        return self.failure is None and self.requested < self.ref.size

    @property
    def has_pieces(self) -> bool:
        return self.ref.size > CHUNK_BYTES


class Transfers:
    """The receiving half of blob traffic on one link. `ask` puts a want on its way."""

    def __init__(self, blobs: Blobs, ask: Callable[[BlobWant], None]) -> None:
        self._blobs = blobs
        self._ask = ask
        self._open: dict[str, _Transfer] = {}
        self._hungry: deque[_Transfer] = deque()
        self._later: deque[_Transfer] = deque()
        self._begun = 0
        self._asked_bytes = 0
        self.received_bytes = 0
        self._closed: Exception | None = None

    def begin(self, refs: Iterable[BlobRef]) -> list[Future]:
        """Futures for the arrival of those that are not here. Wants of one blob share one transfer."""
        if self._closed is not None:
            raise self._closed
        futures = [future for ref in refs if (future := self._begin_one(ref)) is not None]
        self._pump()
        return futures

    def _begin_one(self, ref: BlobRef) -> Future | None:
        known = self._open.get(ref.sha256)
        if known is not None:
            return known.done
        if self._blobs.has(ref.sha256):
            return None
        transfer = self._open[ref.sha256] = _Transfer(ref)
        if ref.size == 0:
            self._settle(transfer)
        elif not transfer.has_pieces:
            self._hungry.append(transfer)
        else:
            self._later.append(transfer)
            self._begin_later()
        return transfer.done

    def _begin_later(self) -> None:
        while self._later and self._begun < MAX_BEGUN:
            self._hungry.append(self._later.popleft())
            self._begun += 1

    def data(self, frame: BlobData) -> None:
        """A piece came. Raises LinkRefused where it is none that was asked for."""
        transfer = self._answered(frame.sha256)
        expected = transfer.asked.popleft()
        if len(frame.data) != expected or frame.offset != transfer.received:
            raise LinkRefused(f"blob {frame.sha256}: {len(frame.data)} bytes at {frame.offset} were not asked for")
        transfer.received += expected
        self.received_bytes += expected
        self._asked_bytes -= _counted(expected)
        if transfer.failure is None:
            try:
                if transfer.writer is None:
                    transfer.writer = self._blobs.create()
                transfer.writer.write(frame.data)
            except OSError as error:  # a full disk fails this blob, not the link
                transfer.failure = error
        self._settle(transfer)
        self._pump()

    def absent(self, frame: BlobAbsent) -> None:
        """A want cannot be met."""
        transfer = self._answered(frame.sha256)
        self._asked_bytes -= _counted(transfer.asked.popleft())
        transfer.failure = transfer.failure or NotFound(
            f"the other end does not have blob {frame.sha256}: {frame.reason}"
        )
        self._settle(transfer)
        self._pump()

    def close(self, error: Exception) -> None:
        """The link ended: whatever is under way fails with `error`."""
        self._closed = error
        self._later.clear()
        for transfer in list(self._open.values()):
            transfer.failure = transfer.failure or error
            transfer.asked.clear()
            self._settle(transfer)
        self._hungry.clear()

    def _answered(self, sha256: str) -> _Transfer:
        transfer = self._open.get(sha256)
        if transfer is None or not transfer.asked:
            raise LinkRefused(f"an answer about blob {sha256[:80]!r}, which was not asked for")
        return transfer

    def _pump(self) -> None:
        """Ask for as much as the window allows, one piece of each blob in turn."""
        while self._hungry and self._asked_bytes < WINDOW_BYTES:
            transfer = self._hungry.popleft()
            if not transfer.wants_more:
                continue
            length = min(CHUNK_BYTES, transfer.ref.size - transfer.requested)
            self._ask(BlobWant(sha256=transfer.ref.sha256, offset=transfer.requested, length=length))
            transfer.asked.append(length)
            transfer.requested += length
            self._asked_bytes += _counted(length)
            self._hungry.append(transfer)

    def _settle(self, transfer: _Transfer) -> None:
        """End a transfer that is whole, or that failed and has no answers outstanding."""
        if transfer.asked or (transfer.failure is None and transfer.received < transfer.ref.size):
            return
        del self._open[transfer.ref.sha256]
        self._keep(transfer)
        if transfer.has_pieces:
            self._begun -= 1
            self._begin_later()
        if transfer.done.done():
            return
        if transfer.failure is None:
            transfer.done.set_result(None)
        else:
            transfer.done.set_exception(transfer.failure)
            transfer.done.exception()  # those who waited may have gone; that is no fault

    def _keep(self, transfer: _Transfer) -> None:
        """Make a whole blob visible, and leave nothing of any other."""
        try:
            if transfer.failure is None:
                transfer.writer = transfer.writer or self._blobs.create()
                transfer.writer.commit(transfer.ref.sha256)
        except (BlobRefused, OSError) as error:
            transfer.failure = error
        finally:
            if transfer.writer is not None:
                transfer.writer.abort()


def _counted(length: int) -> int:
    return max(length, LEAST_WANT_BYTES)
