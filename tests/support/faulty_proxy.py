"""A TCP proxy in the test's own event loop that goes wrong in the ways that networks do."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

PIECE_BYTES = 1 << 16
SLOW_PIECES_A_SECOND = 20


class FaultyProxy:
    """Stands between a client and a TCP server of this machine. It passes everything on until it is told else."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self._host, self._port = host, port
        self._writers: set[asyncio.StreamWriter] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._bytes_per_second: float | None = None
        self.port = 0
        self.forwarded_bytes = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[FaultyProxy]:
        """Listen for the length of a `with`; its end cuts what is open."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            try:
                yield self
            finally:
                self.pass_on()
                self.cut()

    def pass_on(self) -> None:
        """Work well again, also for what was held back."""
        self._bytes_per_second = None
        self._flowing.set()

    def stall(self) -> None:
        """Forward nothing and close nothing: half-open connections; new ones are accepted and lead nowhere."""
        self._flowing.clear()

    def cut(self) -> None:
        """Reset every open connection; new ones may be made."""
        for writer in list(self._writers):
            writer.transport.abort()

    def slow(self, bytes_per_second: float) -> None:
        """So much goes through each way of each connection."""
        self._bytes_per_second = bytes_per_second
        self._flowing.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        far_writer: asyncio.StreamWriter | None = None
        try:
            await self._flowing.wait()
            far_reader, far_writer = await asyncio.open_connection(self._host, self._port)
            self._writers.add(far_writer)
            await asyncio.gather(self._pipe(reader, far_writer), self._pipe(far_reader, writer))
        except OSError:
            writer.transport.abort()
        finally:
            self._writers -= {writer} if far_writer is None else {writer, far_writer}

    async def _pipe(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(self._piece_bytes()):
                await self._flowing.wait()
                if self._bytes_per_second is not None:
                    await asyncio.sleep(len(data) / self._bytes_per_second)  # this is what a slow network does
                self.forwarded_bytes += len(data)
                writer.write(data)
                await writer.drain()
        finally:
            writer.close()

    def _piece_bytes(self) -> int:
        if self._bytes_per_second is None:
            return PIECE_BYTES
        return max(1, int(self._bytes_per_second / SLOW_PIECES_A_SECOND))
