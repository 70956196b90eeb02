"""From an exception to an HTTP status and one sentence."""

from __future__ import annotations

import logging

import msgspec
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from nadg.domain.errors import (
    BlobRefused,
    ModelError,
    NadgError,
    NotFound,
    PlanInvalid,
    StoreUnavailable,
    UserError,
)
from nadg.domain.master_api import NOTHING_HERE, Refusal

_log = logging.getLogger(__name__)

STATUSES: tuple[tuple[type[NadgError], int], ...] = (
    (PlanInvalid, 422),
    (UserError, 422),
    (BlobRefused, 422),
    (NotFound, 404),
    (StoreUnavailable, 503),
    (ModelError, 502),
)
"""The first that fits counts."""


class Stopping(NadgError):
    """The master, or the run, is on its way out: another one, or this one started again, can do it."""


def refusal_body(detail: str) -> bytes:
    """The JSON that says no."""
    return msgspec.json.encode(Refusal(detail=detail))


def refusal(error: NadgError) -> Response:
    """The answer to a request that cannot be carried out."""
    problems = error.problems if isinstance(error, PlanInvalid) else ()
    body = msgspec.json.encode(Refusal(detail=str(error), problems=problems))
    return Response(body, status_of(error), media_type="application/json")


def status_of(error: NadgError) -> int:
    """The HTTP status that says what kind of no it is."""
    if isinstance(error, Stopping):
        return 503
    return next((status for kind, status in STATUSES if isinstance(error, kind)), 500)


def answer_errors(app: FastAPI) -> None:
    """Give every failure of a route its status and its sentence."""

    @app.exception_handler(NadgError)
    async def known(request: Request, error: NadgError) -> Response:
        return refusal(error)

    @app.exception_handler(HTTPException)
    async def of_routing(request: Request, error: HTTPException) -> Response:
        detail = {404: NOTHING_HERE, 405: "this is not done with this method here"}
        body = refusal_body(detail.get(error.status_code, str(error.detail)))
        return Response(body, error.status_code, media_type="application/json")

    @app.exception_handler(OSError)
    async def of_the_system(request: Request, error: OSError) -> Response:
        body = refusal_body(f"the master's system refused: {error.strerror or type(error).__name__}")
        return Response(body, 507, media_type="application/json")

    @app.exception_handler(Exception)
    async def unknown(request: Request, error: Exception) -> Response:
        _log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        body = refusal_body("something went wrong inside the master; its log says what")
        return Response(body, 500, media_type="application/json")
