"""The master's ASGI application: the door, and the routes behind it."""

from __future__ import annotations

from fastapi import FastAPI
from starlette.types import ASGIApp

from nadg import __version__
from nadg.api.auth import Door
from nadg.api.errors import answer_errors
from nadg.api.routes import blobs, health, runs, workers
from nadg.api.service import MasterParts


def create_app(parts: MasterParts, token: str, *, loopback_only: bool) -> ASGIApp:
    """Everything a master answers, behind its door."""
    app = FastAPI(title="NADG master", version=__version__, docs_url=None, redoc_url=None)
    app.state.parts = parts
    for one in (health, blobs, runs, workers):
        app.include_router(one.routes)
    answer_errors(app)
    return Door(app, token, loopback_only=loopback_only)
