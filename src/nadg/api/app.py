"""The master's ASGI application: the door, and the routes behind it, or nothing but `/health` before they open."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import FastAPI, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from nadg import __version__
from nadg.api.auth import Door
from nadg.api.errors import answer_errors, refusal_body
from nadg.api.routes import blobs, health, runs, workers
from nadg.api.schemas import json_response
from nadg.api.service import MasterParts, database_health
from nadg.domain.master_api import Health
from nadg.store.api import StoreTrouble

WAITING = "the master is not ready yet: it waits for its database and its workers; see GET /health"
STOPPING = "the master is stopping; ask again once one is up"


def create_app(parts: MasterParts) -> ASGIApp:
    """Everything a master answers."""
    app = FastAPI(title="NADG master", version=__version__, docs_url=None, redoc_url=None)
    app.state.parts = parts
    for one in (health, blobs, runs, workers):
        app.include_router(one.routes)
    answer_errors(app)
    return app


class Front:
    """What stands at the master's address from its first moment on, behind its door."""

    def __init__(self, token: str, *, loopback_only: bool) -> None:
        self._trouble: Callable[[], StoreTrouble | None] = lambda: None
        self._stopping = False
        self._inside: ASGIApp = self._waiting
        self._door = Door(self._to_inside, token, loopback_only=loopback_only)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._door(scope, receive, send)

    def open(self, parts: MasterParts) -> None:
        """The master is ready."""
        self._inside = create_app(parts)

    def shut(self) -> None:
        """The master is on its way out; requests that are under way may still end."""
        self._stopping = True
        self._inside = self._waiting

    def waits_for(self, trouble: Callable[[], StoreTrouble | None]) -> None:
        """Where to ask what keeps its database from answering before it is ready."""
        self._trouble = trouble

    async def _to_inside(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._inside(scope, receive, send)

    async def _waiting(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/health":
            answer = self._health()
        else:
            sentence = STOPPING if self._stopping else WAITING
            answer = Response(refusal_body(sentence), 503, media_type="application/json")
        await answer(scope, receive, send)

    def _health(self) -> Response:
        database = database_health(self._trouble())
        status = "stopping" if self._stopping else "starting" if database.reachable else "waiting"
        health = Health(status=status, database=database, runs=0, workers={}, version=__version__)
        return json_response(health, 503 if self._stopping else 200)
