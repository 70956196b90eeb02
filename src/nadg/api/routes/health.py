"""How the master fares: for people, load balancers and whoever keeps it alive; wants no token."""

from __future__ import annotations

from fastapi import APIRouter, Response

from nadg.api.routes.parts import Parts
from nadg.api.schemas import json_response

routes = APIRouter()


@routes.get("/health")
async def health(parts: Parts) -> Response:
    """200 while it works or waits for its database, 503 once it can do nothing more."""
    found = parts.service.health()
    return json_response(found, 503 if found.status == "stopping" else 200)
