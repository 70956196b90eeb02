"""The HTTP server under a worker: its socket, its settings, and a stop that this program asks for."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import uvicorn

from nadg.domain.errors import UserError
from nadg.link.frames import MAX_MESSAGE_BYTES

CLOSE_SECONDS = 1


@contextlib.contextmanager
def listen(host: str, port: int) -> Iterator[socket.socket]:
    """The bound socket. Raises UserError where it cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol by name: asyncio turns off Nagle's delay only on sockets that carry it.
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except (OSError, OverflowError) as error:
            raise UserError(f"cannot listen on {host}:{port}: {error}; choose another --port") from error
        yield listener


def uvicorn_config(app: object) -> uvicorn.Config:
    """How a worker serves: no compression, no pings of its own, no logs, nothing started twice."""
    return uvicorn.Config(
        app,  # type: ignore[arg-type]  # uvicorn's own ASGI types are not starlette's
        ws="websockets-sansio",
        ws_max_size=MAX_MESSAGE_BYTES,
        ws_ping_interval=None,
        ws_per_message_deflate=False,
        http="h11",
        loop="asyncio",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=CLOSE_SECONDS,
    )


class WorkerServer(uvicorn.Server):
    """A server whose stop is asked for by this module, not by uvicorn's signal handlers."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def wait_started(self) -> None:
        """Return once connections are accepted."""
        await self._started_event.wait()

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._started_event = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._started_event.set()
