"""Workers that speak the real link protocol and do nothing but wait: one process, many workers, no sandbox.

A master dials `URL/0`, `URL/1`, …: one WebSocket server, a worker for each path. An attempt takes the
seconds that its worker was made with. For a process of its own, which prints its URL:

    python benchmarks/simulated_worker.py --workers 10 --seconds 1 --slow 1 --factor 10
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import datetime
import secrets
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from nadg.domain.assignment import Assignment, Items
from nadg.domain.blob import Blobs, Value
from nadg.domain.errors import LinkLost, LinkRefused
from nadg.domain.outcome import Outcome, OutcomeKind, Receipt
from nadg.domain.tier import Tier
from nadg.domain.worker import WorkerInfo
from nadg.link.blobfolder import BlobFolder
from nadg.link.frames import (
    MAX_MESSAGE_BYTES,
    VERSION,
    Ack,
    Adopt,
    Assign,
    Cancel,
    Finished,
    Frame,
    Hello,
    Holding,
    Refused,
    Started,
)
from nadg.link.session import Session, receive_hello, send_hello

BACKLOG = 64
"""Attempts that a worker takes beyond its slots, as a real one does."""


class _Wire:
    """A WebSocket that the master opened."""

    def __init__(self, socket: ServerConnection) -> None:
        self._socket = socket

    async def send(self, message: bytes) -> None:
        try:
            await self._socket.send(message)
        except (ConnectionClosed, OSError) as error:
            raise LinkLost(str(error)) from error

    async def receive(self) -> bytes:
        try:
            message = await self._socket.recv()
        except (ConnectionClosed, OSError) as error:
            raise LinkLost(str(error)) from error
        if isinstance(message, str):
            raise LinkRefused("a text message; frames are binary")
        return message

    async def close(self, reason: str) -> None:
        await self._socket.close(reason=reason.encode()[:120].decode(errors="ignore"))


class _Held(msgspec.Struct, kw_only=True, eq=False):
    """An attempt that is here: it waits, runs while there is a timer, or has ended."""

    assignment: Assignment
    begun: datetime.datetime | None = None
    timer: asyncio.TimerHandle | None = None
    outcome: Outcome | None = None


class SimulatedWorker:
    """One worker for one master at a time; a newer link takes the place of an older one."""

    def __init__(self, name: str, blobs: Blobs, *, slots: int, seconds: float) -> None:
        self.info = WorkerInfo(name=name, slots=slots, tier=Tier.LANDLOCK)
        self._blobs, self._seconds, self._free = blobs, seconds, slots
        self._boot_id = secrets.token_hex(8)
        self._held: dict[str, _Held] = {}
        self._waiting: deque[_Held] = deque()
        self._session: Session | None = None
        self._empty = asyncio.Event()
        self._empty.set()

    async def wait_empty(self) -> None:
        """Return when nothing is here that waits, runs or is not acknowledged."""
        await self._empty.wait()

    async def serve(self, socket: ServerConnection) -> None:
        """From the opening of a link to its end."""
        wire = _Wire(socket)
        try:
            await receive_hello(wire, "master")
            session = self._session = Session(wire, self._blobs, self._take)
            await send_hello(wire, self._greeting())
        except (LinkLost, LinkRefused):
            return
        self._say_ends(self._held)
        await session.run()

    def _greeting(self) -> Hello:
        window = self.info.slots + BACKLOG
        attempts = tuple(self._held)
        return Hello(version=VERSION, peer_id=self._boot_id, worker=self.info, window=window, attempts=attempts)

    def _take(self, frame: Frame) -> None:
        match frame:
            case Assign(assignment=assignment):
                self._assign(assignment)
            case Cancel(attempt_id=attempt) if attempt in self._held:
                self._end(self._held[attempt], "cancelled")
            case Ack(attempt_ids=attempts):
                for attempt in attempts:
                    self._held.pop(attempt, None)
                if not self._held:
                    self._empty.set()
            case Adopt(run_id=run_id, term=term):
                mine = [one for one in self._held if one.startswith(f"{run_id}/")]
                started = tuple(one for one in mine if self._held[one].begun is not None)
                self._say(Holding(run_id=run_id, term=term, attempts=tuple(mine), started=started))
                self._say_ends(mine)
            case _:
                pass

    def _assign(self, assignment: Assignment) -> None:
        if assignment.attempt_id in self._held:
            return
        if len(self._held) >= self.info.slots + BACKLOG:
            self._say(Refused(attempt_id=assignment.attempt_id, why="busy"))
            return
        held = self._held[assignment.attempt_id] = _Held(assignment=assignment)
        self._empty.clear()
        self._waiting.append(held)
        self._fill_slots()

    def _fill_slots(self) -> None:
        while self._free and self._waiting:
            held = self._waiting.popleft()
            if held.outcome is not None:  # cancelled while it waited
                continue
            self._free -= 1
            held.begun = _now()
            self._say(Started(attempt_id=held.assignment.attempt_id, at=held.begun), soon=False)
            held.timer = asyncio.get_running_loop().call_later(self._seconds, self._end, held, "succeeded")

    def _end(self, held: _Held, kind: OutcomeKind) -> None:
        if held.outcome is not None:
            return
        held.outcome = self._outcome(held, kind)
        self._say(Finished(attempt_id=held.assignment.attempt_id, outcome=held.outcome))
        if held.timer is not None:
            held.timer.cancel()
            held.timer = None
            self._free += 1
            self._fill_slots()

    def _outcome(self, held: _Held, kind: OutcomeKind) -> Outcome:
        now = _now()
        receipt = Receipt(
            worker=self.info.name,
            sandbox_tier=Tier.LANDLOCK,
            code_sha256="",
            input_sha256s={},
            started_at=held.begun or now,
            finished_at=now,
            exit_code=None if held.begun is None else 0 if kind == "succeeded" else 137,
        )
        if kind != "succeeded":
            return Outcome(kind=kind, receipt=receipt, reason="cancelled")
        piece = held.assignment.piece
        if isinstance(piece, Items):
            results = Value(inline=b"[" + b",".join([b"1"] * piece.count) + b"]")
            return Outcome(kind=kind, receipt=receipt, result=results, per_item=True)
        return Outcome(kind=kind, receipt=receipt, result=Value(inline=b"1"))

    def _say_ends(self, attempts: Sequence[str] | dict[str, _Held]) -> None:
        for attempt in attempts:
            outcome = self._held[attempt].outcome
            if outcome is not None:
                self._say(Finished(attempt_id=attempt, outcome=outcome))

    def _say(self, frame: Frame, soon: bool = True) -> None:
        if self._session is not None:
            self._session.send(frame, soon)


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


async def serve_workers(workers: Sequence[SimulatedWorker]) -> Server:
    """Listen on a free port of this machine; the path `/N/link` leads to worker N."""

    async def link(socket: ServerConnection) -> None:
        path = socket.request.path if socket.request else ""
        await workers[int(path.strip("/").partition("/")[0])].serve(socket)

    return await serve(
        link, "127.0.0.1", 0, compression=None, ping_interval=None, max_size=MAX_MESSAGE_BYTES, max_queue=4
    )


@contextlib.contextmanager
def simulated_workers(
    count: int, *, slots: int, seconds: float, slow: int = 0, factor: float = 1
) -> Iterator[list[str]]:
    """The URLs of so many workers in a process of their own; the first `slow` take `factor` times as long."""
    options = {"workers": count, "slots": slots, "seconds": seconds, "slow": slow, "factor": factor}
    argv = [sys.executable, __file__, *(f"--{name}={value}" for name, value in options.items())]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            yield [f"{url}/{number}" for number in range(count)]
        finally:
            process.terminate()


async def _serve_forever(options: argparse.Namespace, folder: Path) -> None:
    blobs = BlobFolder(folder)
    workers = [
        SimulatedWorker(
            f"simulated-{number}",
            blobs,
            slots=options.slots,
            seconds=options.seconds * (options.factor if number < options.slow else 1),
        )
        for number in range(options.workers)
    ]
    async with await serve_workers(workers) as server:
        print(f"http://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}", flush=True)
        await server.wait_closed()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=10)
    parser.add_argument("--slots", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--slow", type=int, default=0, help="so many of them are slow")
    parser.add_argument("--factor", type=float, default=10.0, help="by this factor")
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve_forever(parser.parse_args(), Path(folder)))


if __name__ == "__main__":
    main()
