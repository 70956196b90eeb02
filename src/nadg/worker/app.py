"""The worker's ASGI application: the door, the HTTP routes, the link."""

from __future__ import annotations

from fastapi import FastAPI, Request, WebSocket
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.types import ASGIApp

from nadg import __version__
from nadg.worker.door import Door
from nadg.worker.linkdoor import LinkDoor
from nadg.worker.routes import WorkerParts, routes

NO_JSON = "body: send JSON, and say so in the header `Content-Type: application/json`"


def create_app(parts: WorkerParts, links: LinkDoor, token: str, *, loopback_only: bool) -> ASGIApp:
    """Everything a worker answers, behind its door."""
    app = FastAPI(title="NADG worker", version=__version__, docs_url=None, redoc_url=None)
    app.state.parts = parts
    app.include_router(routes)

    @app.websocket("/link")
    async def link(socket: WebSocket) -> None:
        await links.serve(socket)

    @app.exception_handler(RequestValidationError)
    async def bad_body(request: Request, error: RequestValidationError) -> JSONResponse:
        kind = request.headers.get("content-type", "")
        detail = _one_sentence(error) if _is_json(kind) else NO_JSON
        return JSONResponse({"detail": detail}, status_code=422)

    return Door(app, token, loopback_only=loopback_only)


def _is_json(content_type: str) -> bool:
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


def _one_sentence(error: RequestValidationError) -> str:
    """The first problem, by its place; a list of pydantic's own is no answer for a person."""
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"] if part not in ("body", "str", "dict[str,any]"))
    return f"{place or 'body'}: {first['msg']}"
