"""A master's link, as the worker serves it."""

from __future__ import annotations

import contextlib

import msgspec
from starlette.websockets import WebSocket, WebSocketDisconnect

from nadg.domain.blob import Blobs
from nadg.domain.errors import LinkLost, LinkRefused
from nadg.link.frames import VERSION, Ack, Adopt, Assign, Cancel, Frame, Hello
from nadg.link.session import Session, receive_hello, send_hello
from nadg.worker.runner import Runner
from nadg.worker.tenant import Tenant


class ServedWire:
    """A WebSocket that the other end opened."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket

    async def send(self, message: bytes) -> None:
        try:
            await self._socket.send_bytes(message)
        except (WebSocketDisconnect, RuntimeError, OSError) as error:
            raise LinkLost(f"the connection is gone ({error})") from error

    async def receive(self) -> bytes:
        try:
            message = await self._socket.receive()
        except RuntimeError as error:
            raise LinkLost("the connection is gone") from error
        if message["type"] == "websocket.disconnect":
            raise LinkLost(f"the connection closed with code {message.get('code')} {message.get('reason') or ''}")
        data = message.get("bytes")
        if data is None:
            raise LinkRefused("a text message; frames are binary")
        return bytes(data)

    async def close(self, reason: str) -> None:
        with contextlib.suppress(RuntimeError, WebSocketDisconnect, OSError):
            await self._socket.close(reason=reason.encode()[:120].decode(errors="ignore"))


class LinkDoor:
    """Serves one link after another, or several at once."""

    def __init__(self, runner: Runner, blobs: Blobs, boot_id: str, ping_seconds: float) -> None:
        self._runner, self._blobs = runner, blobs
        self._boot_id = boot_id
        self._ping_seconds = ping_seconds

    async def serve(self, socket: WebSocket) -> None:
        """From the opening of a link to its end."""
        await socket.accept()
        wire = ServedWire(socket)
        try:
            hello = await receive_hello(wire, "master")
        except (LinkLost, LinkRefused) as error:
            await wire.close(str(error))
            return
        mail = _MasterMail(self._runner)
        session = Session(wire, self._blobs, mail.take, ping_seconds=self._ping_seconds)
        tenant = mail.tenant = self._runner.attach(hello.peer_id, session)
        try:
            await send_hello(wire, self._greeting(tenant))
            self._runner.resume(tenant)
            await session.run()
        except LinkLost:
            return
        finally:
            self._runner.detach(tenant, session)

    def _greeting(self, tenant: Tenant) -> Hello:
        return Hello(
            version=VERSION,
            peer_id=self._boot_id,
            worker=msgspec.structs.replace(self._runner.info, draining=self._runner.draining),
            window=self._runner.window,
            attempts=tuple(tenant.held),
        )


class _MasterMail:
    """What a master's frames ask for."""

    tenant: Tenant

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def take(self, frame: Frame) -> None:
        match frame:
            case Assign(assignment=assignment):
                self._runner.assign(self.tenant, assignment)
            case Ack(attempt_ids=attempt_ids):
                for attempt_id in attempt_ids:
                    self._runner.acknowledge(self.tenant, attempt_id)
            case Cancel(attempt_id=attempt_id):
                self._runner.cancel(self.tenant, attempt_id)
            case Adopt(run_id=run_id, term=term):
                self._runner.adopt(self.tenant, run_id, term)
            case _:
                raise LinkRefused(f"a master does not send {type(frame).__name__}")
