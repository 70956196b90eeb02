"""Who may come in: checked before anything of a request's body is read.

All but `GET /health` wants the token. A web page in a browser on this machine must not get in: it cannot know
the token, and a request that comes from a page at all, or as a form would send it, is refused besides. On
loopback the Host must be loopback too, so that a foreign name pointed at 127.0.0.1 does not pass.
"""

from __future__ import annotations

import contextlib
import hmac
import ipaddress
import math
from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nadg.api.errors import refusal_body
from nadg.domain.checks.plain import MAX_DOCUMENT_BYTES

MAX_BODY_BYTES = MAX_DOCUMENT_BYTES + (4 << 20)
"""Of a JSON body: the largest plan document, and what stands around it."""
OPEN = ("/health",)
JSON = "application/json"
BYTES = "application/octet-stream"
_READING = ("GET", "HEAD")
_TOO_LARGE = (413, f"the body is larger than {MAX_BODY_BYTES} bytes; files go to PUT /v1/blobs/SHA256")

Headers = Mapping[bytes, bytes]
Reply = tuple[int, str]


class Door:
    """ASGI in front of the app."""

    def __init__(self, app: ASGIApp, token: str, *, loopback_only: bool) -> None:
        self._app = app
        self._expected = b"Bearer " + token.encode()
        self._loopback_only = loopback_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return  # uvicorn closes what was never accepted
        reply = self._refusal(scope, dict(scope["headers"]))
        if reply is not None:
            await _answer(send, *reply)
            return
        bounded = _Bounded(receive, send, MAX_BODY_BYTES if scope["method"] == "POST" else math.inf)
        with contextlib.suppress(Exception):  # the app has answered with 500 and logged it: nobody else is to
            await self._app(scope, bounded.receive, bounded.send)
        if bounded.is_exceeded:
            await _answer(send, *_TOO_LARGE)

    def _refusal(self, scope: Scope, headers: Headers) -> Reply | None:
        if self._loopback_only and not _is_loopback(headers.get(b"host", b"")):
            return 403, "this master listens on loopback only; use 127.0.0.1 or localhost as its host"
        if b"origin" in headers:
            return 403, "a master is not called from a web page"
        if scope["path"] in OPEN and scope["method"] in _READING:
            return None
        if not hmac.compare_digest(headers.get(b"authorization", b""), self._expected):
            return 401, "the header `Authorization: Bearer TOKEN` is missing or wrong; see docs/MASTER.md"
        return _flaw_of_body(scope["method"], headers)


def _flaw_of_body(method: str, headers: Headers) -> Reply | None:
    """A form of a web page comes as none of the kinds that are taken here."""
    if method in _READING:
        return None
    wanted = BYTES if method == "PUT" else JSON
    kind = headers.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower()
    has_body = headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers
    if kind != wanted and (has_body or kind or method == "PUT"):
        return 415, f"send the body as {wanted}, and say so: `Content-Type: {wanted}`"
    if method == "POST" and _stated_length(headers) > MAX_BODY_BYTES:
        return _TOO_LARGE
    return None


class _Bounded:
    """Counts a body that does not say its length; past the bound the app is told that the client is gone,
    and what it answers is dropped."""

    def __init__(self, receive: Receive, send: Send, most_bytes: float) -> None:
        self._receive, self._send, self._most_bytes = receive, send, most_bytes
        self._count = 0

    @property
    def is_exceeded(self) -> bool:
        return self._count > self._most_bytes

    async def receive(self) -> Message:
        message = await self._receive()
        self._count += len(message.get("body", b""))
        return {"type": "http.disconnect"} if self.is_exceeded else message

    async def send(self, message: Message) -> None:
        if not self.is_exceeded:
            await self._send(message)


async def _answer(send: Send, status: int, reason: str) -> None:
    body = refusal_body(reason)
    headers = [(b"content-type", JSON.encode()), (b"content-length", str(len(body)).encode())]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def is_loopback(host: str) -> bool:
    """Whether this host name or address is this machine itself."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _is_loopback(host: bytes) -> bool:
    try:
        return is_loopback(urlsplit(f"//{host.decode('latin-1')}").hostname or "")
    except ValueError:
        return False


def _stated_length(headers: Headers) -> int:
    stated = headers.get(b"content-length", b"0")
    return int(stated) if stated.isdigit() else 0
