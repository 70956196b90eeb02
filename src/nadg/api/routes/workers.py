"""The registry of workers."""

from __future__ import annotations

from fastapi import APIRouter, Response

from nadg.api.routes.parts import Parts, looked_up
from nadg.api.schemas import json_response

routes = APIRouter(prefix="/v1/workers")


@routes.get("")
async def list_workers(parts: Parts) -> Response:
    """All that are registered, oldest first."""
    return json_response(await looked_up(parts.store.workers.list(), parts))
