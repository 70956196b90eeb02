"""Who may come in: checked before anything of a request's body is read.

Whatever changes something, and the link, wants the token. A web page in a browser on this machine must
not get in either: it cannot set the token header, a link with an Origin is refused, and on loopback the
Host must be loopback too, so that a foreign name pointed at 127.0.0.1 does not pass.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nadg.link.dial import TOKEN_HEADER, is_loopback

MAX_BODY_BYTES = 4 << 20
_TOKEN = TOKEN_HEADER.lower().encode()
_TOO_LARGE = (413, f"the body is larger than {MAX_BODY_BYTES} bytes")
_READING = ("GET", "HEAD", "OPTIONS")


class Door:
    """ASGI in front of the app."""

    def __init__(self, app: ASGIApp, token: str, *, loopback_only: bool) -> None:
        self._app = app
        self._token = token.encode()
        self._loopback_only = loopback_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is not None:
            await _refuse(scope, receive, send, *refusal)
        elif scope["type"] == "http" and scope["method"] not in _READING:
            bounded = _Bounded(receive, send)
            await self._app(scope, bounded.receive, bounded.send)
            if bounded.is_exceeded:
                await _refuse(scope, receive, send, *_TOO_LARGE)
        else:
            await self._app(scope, receive, send)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers = dict(scope["headers"])
        if self._loopback_only and not is_loopback(_hostname(headers.get(b"host", b""))):
            return 421, "this worker listens on loopback only; use 127.0.0.1 or localhost as its host"
        if scope["type"] == "websocket" and b"origin" in headers:
            return 403, "a link is not opened from a web page"
        wants_token = scope["type"] == "websocket" or scope["method"] not in _READING
        if wants_token and not hmac.compare_digest(headers.get(_TOKEN, b""), self._token):
            return 401, f"the header {TOKEN_HEADER} is missing or wrong"
        if _content_length(headers) > MAX_BODY_BYTES:
            return _TOO_LARGE
        return None


class _Bounded:
    """Counts a body that does not say its length; past the bound the app is told that the client is gone,
    and what it answers is dropped."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        self._count = 0

    @property
    def is_exceeded(self) -> bool:
        return self._count > MAX_BODY_BYTES

    async def receive(self) -> Message:
        message = await self._receive()
        self._count += len(message.get("body", b""))
        return {"type": "http.disconnect"} if self.is_exceeded else message

    async def send(self, message: Message) -> None:
        if not self.is_exceeded:
            await self._send(message)


async def _refuse(scope: Scope, receive: Receive, send: Send, status: int, reason: str) -> None:
    """Answer in place of the app; a link is refused with the same status before it opens."""
    prefix = "http"
    if scope["type"] == "websocket":
        await receive()
        prefix = "websocket.http"
    body = msgspec.json.encode({"detail": reason})
    headers: Iterable[tuple[bytes, bytes]] = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": f"{prefix}.response.start", "status": status, "headers": list(headers)})
    await send({"type": f"{prefix}.response.body", "body": body})


def _hostname(host: bytes) -> str:
    try:
        return urlsplit(f"//{host.decode('latin-1')}").hostname or ""
    except ValueError:
        return ""


def _content_length(headers: dict[bytes, Any]) -> int:
    stated = headers.get(b"content-length", b"0")
    return int(stated) if stated.isdigit() else 0
