"""Files by content: clients put the inputs of runs here, and fetch results and artifacts."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse
from starlette.requests import ClientDisconnect

from nadg.api.auth import BYTES
from nadg.api.routes.parts import Parts, looked_up
from nadg.api.schemas import json_response
from nadg.domain.blob import BlobRef, Blobs
from nadg.domain.errors import BlobRefused, NotFound, UserError
from nadg.domain.master_api import MAX_BLOB_BYTES

WRITE_BYTES = 1 << 20
"""So much is gathered before it is written, by a thread."""

routes = APIRouter(prefix="/v1/blobs")


@routes.put("/{sha256}")
async def put_blob(sha256: str, request: Request, parts: Parts) -> Response:
    """Keep the body under its hash; 201, or 200 where it is here already."""
    if len(sha256) != 64 or set(sha256) - set("0123456789abcdef"):
        raise UserError(f"{sha256[:80]!r} is no SHA-256 in lower-case hexadecimal")
    if _stated_length(request) > MAX_BLOB_BYTES:
        return _too_large()
    there = parts.blobs.has(sha256)
    ref = await _received(request, parts.blobs, sha256)
    if ref is None:
        return _too_large()
    await looked_up(parts.store.blobs.record([ref]), parts)
    return json_response(ref, 200 if there else 201)


async def _received(request: Request, blobs: Blobs, sha256: str) -> BlobRef | None:
    """The body as a blob; None where it is too large. Raises BlobRefused where it is another or not whole."""
    writer = blobs.create()
    try:
        size, gathered = 0, bytearray()
        async for data in request.stream():
            size += len(data)
            if size > MAX_BLOB_BYTES:
                return None
            gathered += data
            if len(gathered) >= WRITE_BYTES:
                await asyncio.to_thread(writer.write, bytes(gathered))
                gathered.clear()
        await asyncio.to_thread(writer.write, bytes(gathered))
        return await asyncio.to_thread(writer.commit, sha256)
    except ClientDisconnect:
        raise BlobRefused("the body ended early; send it whole") from None
    finally:
        writer.abort()


@routes.get("/{sha256}")
@routes.head("/{sha256}")
async def get_blob(sha256: str, parts: Parts) -> Response:
    """The content."""
    if not parts.blobs.has(sha256):
        raise NotFound(f"this master has no blob {sha256[:80]!r}")
    return FileResponse(parts.blobs.path(sha256), media_type=BYTES)


def _stated_length(request: Request) -> int:
    stated = request.headers.get("content-length", "0")
    return int(stated) if stated.isascii() and stated.isdigit() else 0


def _too_large() -> Response:
    return json_response({"detail": f"the body is larger than {MAX_BLOB_BYTES} bytes", "problems": []}, 413)
