"""Closes what an SDK leaves open of a streamed response, before the exchange that opened it ends.

Where a stream brings an error, the SDKs raise it and drop their chain of async generators half-way. The loop
then closes all of them at once when it ends, and those that wait for the connection to close find one another
running already. So the part of the chain that waits for anything is owned, and ended, here.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from contextvars import ContextVar

import httpx2

from nadg.models.settling import unbroken

_OPENED: ContextVar[list[OwnedStream] | None] = ContextVar("opened_streams", default=None)
"""Those of the exchange that is under way in this task."""


class OwnedStream(httpx2.AsyncByteStream):
    """A response's bytes, read once. It is no generator, so nobody but `aclose` ends what it reads from."""

    def __init__(self, stream: httpx2.AsyncByteStream) -> None:
        self._stream = stream
        self._pieces: AsyncIterator[bytes] | None = None

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._pieces is None:
            self._pieces = aiter(self._stream)
        return await anext(self._pieces)

    async def aclose(self) -> None:
        """Close the connection, where the body was not read to its end, and let all that reads from it run out."""
        await self._stream.aclose()
        if self._pieces is not None:
            # The error of reading from a closed connection ends each generator of the chain, the innermost first.
            with contextlib.suppress(httpx2.TransportError, httpx2.StreamError):
                async for _ in self._pieces:
                    pass


async def own_stream(response: httpx2.Response) -> None:
    """A hook for responses: each that an exchange opens is noted for its end."""
    opened, stream = _OPENED.get(), response.stream
    if opened is not None and isinstance(stream, httpx2.AsyncByteStream):
        response.stream = owned = OwnedStream(stream)
        opened.append(owned)


@contextlib.asynccontextmanager
async def streams_closed() -> AsyncIterator[None]:
    """Nothing is left open of the responses that came within the block, however it ends."""
    opened: list[OwnedStream] = []
    token = _OPENED.set(opened)
    try:
        yield
    finally:
        _OPENED.reset(token)
        for stream in opened:
            await unbroken(stream.aclose())
