"""What a client asks of a master."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx
import msgspec

from nadg.client.connection import ANSWER_SECONDS, Connection, no_master
from nadg.domain.blob import BlobRef, BlobWriter
from nadg.domain.changes import RunChanged
from nadg.domain.errors import NotFound, UserError, no_run
from nadg.domain.master_api import (
    MAX_BLOB_BYTES,
    MOST_WAIT_SECONDS,
    CancelAnswer,
    Cancelling,
    EventPage,
    Health,
    RunEvent,
    Submission,
    Submitted,
    decode_record,
)
from nadg.domain.run import RunRecord, RunSummary
from nadg.domain.states import is_final
from nadg.domain.worker import WorkerNode

COPY_BYTES = 1 << 20
JSON = {"Content-Type": "application/json"}
BYTES = {"Content-Type": "application/octet-stream"}
Document = TypeVar("Document")


class MasterClient:
    """Each method waits for as long as a master that answered once is out of reach."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @property
    def url(self) -> str:
        return self._connection.url

    async def health(self) -> Health:
        """How the master fares. Raises UserError where none is there, but perhaps something else."""
        data = await self._connection.ask("GET", "/health")
        try:
            return msgspec.json.decode(data, type=Health)
        except msgspec.DecodeError as error:
            raise no_master(self.url, "its /health is not that of a master") from error

    async def send_file(self, path: Path) -> BlobRef:
        """Have the master keep the file's content, which is sent only where it lacks it. Raises OSError,
        and UserError where it is too large.
        """
        ref = await asyncio.to_thread(_hashed, path)
        if ref.size > MAX_BLOB_BYTES:
            raise UserError(f"--input: {path} is larger than the {MAX_BLOB_BYTES} bytes that a master takes")
        place = f"/v1/blobs/{ref.sha256}"
        try:
            await self._connection.ask("HEAD", place)
        except NotFound:
            headers = BYTES | {"Content-Length": str(ref.size)}
            await self._connection.ask("PUT", place, content=lambda: _pieces(path), headers=headers)
        return ref

    async def submit(self, submission: Submission) -> None:
        """Returns once the run is stored. Raises UserError and PlanInvalid where it cannot be carried out."""
        content = msgspec.json.encode(submission)
        _read(await self._connection.ask("POST", "/v1/runs", content=content, headers=JSON), Submitted)

    async def record(self, run_id: str) -> RunRecord:
        """The whole run as it stands; its id may be cut short. Raises NotFound."""
        data = await self._connection.ask("GET", f"{_place_of(run_id)}/record")
        try:
            return await asyncio.to_thread(decode_record, data)
        except ValueError as error:
            raise _strange(error) from error

    async def events(self, run_id: str, seq: int = 0) -> AsyncIterator[RunEvent]:
        """Every event after `seq`, and each new one as it comes, until the run has ended."""
        while True:
            path = f"/v1/runs/{run_id}/events?after={seq}&wait={MOST_WAIT_SECONDS:g}"
            timeout = MOST_WAIT_SECONDS + ANSWER_SECONDS / 4
            page = _read(await self._connection.ask("GET", path, timeout_seconds=timeout), EventPage)
            for event in page.events:
                seq = event.seq
                yield event
                if isinstance(event.change, RunChanged) and is_final(event.change.state):
                    return

    async def cancel(self, run_id: str, reason: str) -> CancelAnswer:
        """Ask a run to end; its id may be cut short. Raises NotFound."""
        content, place = msgspec.json.encode(Cancelling(reason=reason)), f"{_place_of(run_id)}/cancel"
        return _read(await self._connection.ask("POST", place, content=content, headers=JSON), CancelAnswer)

    async def runs(self, limit: int) -> tuple[RunSummary, ...]:
        """The latest ones, newest first."""
        return _read(await self._connection.ask("GET", f"/v1/runs?limit={limit}"), tuple[RunSummary, ...])

    async def document(self, run_id: str) -> dict[str, Any]:
        """As `run.json` has it, and whether it is `orphaned`; its id may be cut short. Raises NotFound."""
        return _read(await self._connection.ask("GET", _place_of(run_id)), dict[str, Any])

    async def answer(self, run_id: str) -> str:
        """The answer as it stands, as Markdown. Raises NotFound."""
        return (await self._connection.ask("GET", f"{_place_of(run_id)}/answer")).decode()

    async def workers(self) -> tuple[WorkerNode, ...]:
        """The registry, oldest first."""
        return _read(await self._connection.ask("GET", "/v1/workers"), tuple[WorkerNode, ...])

    async def fetch(self, sha256: str, create: Callable[[], BlobWriter]) -> None:
        """Write a blob's content, anew where it is cut off. Raises NotFound, BlobRefused and OSError."""
        while True:
            writer = create()
            try:
                async with self._connection.streamed(f"/v1/blobs/{sha256}") as pieces:
                    async for piece in pieces:
                        await asyncio.to_thread(writer.write, piece)
                await asyncio.to_thread(writer.commit, sha256)
                return
            except httpx.TransportError:
                await self.health()  # waits until it is back, and says so
            finally:
                writer.abort()


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    with await asyncio.to_thread(path.open, "rb") as file:
        while piece := await asyncio.to_thread(file.read, COPY_BYTES):
            yield piece


def _hashed(path: Path) -> BlobRef:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        return BlobRef(sha256=digest.hexdigest(), size=file.tell())


def _place_of(run_id: str) -> str:
    """Where a run is; a master would take an id with signs in it for another place. Raises NotFound."""
    wanted = run_id.strip().lower()
    if not wanted:
        raise UserError("the run id is empty; give its first characters, see `nadg runs list`")
    if not (wanted.isascii() and wanted.isalnum()):
        raise no_run(run_id)
    return f"/v1/runs/{wanted}"


def _read(data: bytes, kind: type[Document]) -> Document:
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.DecodeError as error:
        raise _strange(error) from error


def _strange(error: Exception) -> UserError:
    return UserError(f"the master answered what this version does not understand ({error}); use the same version")
