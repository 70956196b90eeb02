"""One HTTP exchange as an ASGI server sees it: read the body, answer, stream, wait, or leave in the middle."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
from starlette.types import Receive, Send

from tests.support.gemini.errors import Json

Sleep = Callable[[float], Awaitable[None]]
_JSON = b"application/json; charset=UTF-8"


class Gone(Exception):
    """The client went away, or the server stops: nobody waits for the rest."""


class Exchange:
    """The sending half keeps track of what has gone out; `close` must be awaited at the end."""

    def __init__(self, receive: Receive, send: Send, sleep: Sleep) -> None:
        self._receive = receive
        self._send = send
        self._sleep = sleep
        self._is_started = False
        self._is_leaving = False
        self._watch: asyncio.Task[None] | None = None

    async def body(self) -> bytes:
        """The whole request body. Raises Gone if the client leaves before its end."""
        parts: list[bytes] = []
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise Gone
            parts.append(message.get("body", b""))
            if not message.get("more_body", False):
                return b"".join(parts)

    async def answer(self, status: int, body: Json) -> None:
        """A whole response."""
        data = msgspec.json.encode(body)
        await self._start(status, _JSON, length=len(data))
        await self._send({"type": "http.response.body", "body": data})

    async def event(self, body: Json) -> None:
        """One event of a stream; the first one starts the response."""
        if not self._is_started:
            await self._start(200, b"text/event-stream")
        data = b"data: " + msgspec.json.encode(body) + b"\r\n\r\n"
        await self._send({"type": "http.response.body", "body": data, "more_body": True})
        # An unpaced stream must not keep the loop from its other requests.
        await asyncio.sleep(0)

    async def end(self) -> None:
        """The proper end of a stream, which has had no `[DONE]`."""
        if not self._is_started:
            await self._start(200, b"text/event-stream")
        await self._send({"type": "http.response.body", "body": b""})

    async def cut(self, body: Json) -> None:
        """Half of a whole response; the server closes the connection when the application returns after it."""
        data = msgspec.json.encode(body)
        await self._start(200, _JSON, length=len(data))
        await self._send({"type": "http.response.body", "body": data[: len(data) // 2], "more_body": True})

    async def leave(self) -> None:
        """Make sure that the connection closes without a full response."""
        if not self._is_started:
            await self._start(200, _JSON, length=1)

    async def pause(self, seconds: float) -> None:
        """Let `seconds` pass on the injected clock. Raises Gone as soon as nobody waits any more."""
        if seconds <= 0:
            return
        watch = self._watcher()
        sleeper = asyncio.ensure_future(self._sleep(seconds))
        try:
            await asyncio.wait({watch, sleeper}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeper.cancel()
            await asyncio.wait({sleeper})
        if watch.done():
            raise Gone
        sleeper.result()

    async def hang(self) -> None:
        """Wait for the client to go away or the server to stop, then raise Gone."""
        await asyncio.wait({self._watcher()})
        raise Gone

    def stop(self) -> None:
        """The server stops: wake whatever waits here."""
        self._is_leaving = True
        if self._watch is not None:
            self._watch.cancel()

    async def close(self) -> None:
        """End the watching of the client."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.wait({self._watch})

    async def _start(self, status: int, kind: bytes, length: int | None = None) -> None:
        self._is_started = True
        headers = [(b"content-type", kind)]
        if length is not None:
            headers.append((b"content-length", str(length).encode()))
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    def _watcher(self) -> asyncio.Task[None]:
        if self._is_leaving:
            raise Gone
        if self._watch is None:
            self._watch = asyncio.ensure_future(self._until_disconnect())
        return self._watch

    async def _until_disconnect(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
