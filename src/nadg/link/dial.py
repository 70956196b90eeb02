"""Open a link to a worker's URL."""

from __future__ import annotations

import asyncio
import ipaddress
from urllib.parse import urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from nadg.domain.errors import LinkLost, LinkRefused, UserError
from nadg.link.frames import MAX_MESSAGE_BYTES

TOKEN_HEADER = "X-NADG-AUTH"
OPEN_SECONDS = 10.0
CLOSE_SECONDS = 1.0
_SCHEMES = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}


def link_url(url: str) -> str:
    """`http://host:port` as the address of its link. Raises UserError where it is no such URL."""
    try:
        parts = urlsplit(url.strip())
        usable = parts.scheme in _SCHEMES and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable:
        raise UserError(f"worker URL {url!r} is not usable; give one like http://127.0.0.1:7860")
    path = parts.path.rstrip("/")
    path = path if path.endswith("/link") else path + "/link"
    return urlunsplit((_SCHEMES[parts.scheme], parts.netloc, path, "", ""))


def is_loopback(host: str) -> bool:
    """Whether this host name or address is this machine itself."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


class DialledWire:
    """A WebSocket that this end opened."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    async def send(self, message: bytes) -> None:
        try:
            await self._socket.send(message)
        except (ConnectionClosed, OSError) as error:
            raise LinkLost(str(error)) from error

    async def receive(self) -> bytes:
        try:
            message = await self._socket.recv()
        except (ConnectionClosed, OSError) as error:
            raise LinkLost(str(error)) from error
        if isinstance(message, str):
            raise LinkRefused("a text message; frames are binary")
        return message

    async def close(self, reason: str) -> None:
        await self._socket.close(reason=reason.encode()[:120].decode(errors="ignore"))


class _Connect(connect):
    """Follows no redirect: it would carry the token to another host."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


async def dial(url: str, token: str) -> DialledWire:
    """Open the link. Raises LinkRefused where the worker does not let this end in, LinkLost where none answers."""
    address = link_url(url)
    try:
        socket = await _Connect(
            address,
            additional_headers={TOKEN_HEADER: token},
            compression=None,
            open_timeout=OPEN_SECONDS,
            close_timeout=CLOSE_SECONDS,
            ping_interval=None,
            max_size=MAX_MESSAGE_BYTES,
            max_queue=4,
            proxy=None if is_loopback(urlsplit(address).hostname or "") else True,
        )
    except InvalidStatus as error:
        raise LinkRefused(_status_reason(url, error.response.status_code)) from error
    except ConnectionRefusedError as error:
        raise LinkLost(f"nothing listens at {url}") from error
    except (OSError, TimeoutError, WebSocketException, asyncio.IncompleteReadError) as error:
        raise LinkLost(f"{url} cannot be reached: {error or type(error).__name__}") from error
    return DialledWire(socket)


def _status_reason(url: str, status: int) -> str:
    if status in (401, 403):
        return f"{url} refused the token (HTTP {status}); give the token that the worker was started with"
    if status == 404:
        return f"{url} is no NADG worker (HTTP 404 at /link)"
    return f"{url} answered HTTP {status} instead of opening a link"
