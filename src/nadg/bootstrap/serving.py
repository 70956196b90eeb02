"""The master's HTTP server: its socket, its token, its start and its stop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator

import uvicorn
from starlette.types import ASGIApp

from nadg.api.auth import is_loopback
from nadg.bootstrap.home import Home
from nadg.domain.errors import UserError
from nadg.domain.token import flaw_of_token
from nadg.settings import Settings
from nadg.worker.server import WorkerServer, listen

BACKLOG = 128
CLOSE_SECONDS = 1


def checked_token(settings: Settings, home: Home) -> str:
    """The secret of callers. Raises UserError where others can reach the master and none fit for that is set."""
    if is_loopback(settings.master_host):
        return home.master_token()
    if settings.master_token is None:
        raise UserError(
            f"NADG_MASTER_HOST={settings.master_host} can be reached from elsewhere, so callers need a secret "
            "that you choose; set NADG_MASTER_TOKEN here and where `nadg run` is typed, or listen on 127.0.0.1"
        )
    token = settings.master_token.get_secret_value()
    if flaw := flaw_of_token(token, guessable_by_others=True):
        raise UserError(f"NADG_MASTER_TOKEN: {flaw}")
    return token


@contextlib.contextmanager
def listening(settings: Settings) -> Iterator[socket.socket]:
    """The master's socket. Raises UserError where it cannot be had, most often because a master is up already."""
    host, port = settings.master_host, settings.master_port
    with contextlib.ExitStack() as stack:
        try:
            listener = stack.enter_context(listen(host, port))
            listener.listen(BACKLOG)
        except (UserError, OSError) as error:
            cause = error.__cause__ if isinstance(error, UserError) else error
            reason = cause.strerror if isinstance(cause, OSError) and cause.strerror else str(cause)
            raise UserError(
                f"cannot listen on {host}:{port} ({reason}); is `nadg up` running already? "
                "If not, name another port: NADG_MASTER_PORT"
            ) from error
        yield listener


def url_of(settings: Settings, listener: socket.socket) -> str:
    """Where callers find the master."""
    host = settings.master_host
    return f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"


@contextlib.asynccontextmanager
async def served(app: ASGIApp, listener: socket.socket) -> AsyncIterator[None]:
    """The API for the length of a `with`; requests under way get a moment to end."""
    server = WorkerServer(_config(app))
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(server.serve(sockets=[listener]))
        await server.wait_started()
        try:
            yield
        finally:
            server.should_exit = True
            await serving


def _config(app: object) -> uvicorn.Config:
    return uvicorn.Config(
        app,  # type: ignore[arg-type]  # uvicorn's own ASGI types are not starlette's
        ws="none",
        http="h11",
        loop="asyncio",
        lifespan="off",
        log_config=None,
        log_level="error",  # of what strangers send that is no HTTP nobody needs to hear
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=CLOSE_SECONDS,
    )
