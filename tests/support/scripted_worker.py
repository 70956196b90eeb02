"""A worker that says to a master, over a real link, what a test tells it to."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from nadg.domain.tier import Tier
from nadg.domain.worker import WorkerInfo
from nadg.link.frames import VERSION, Frame, Hello, Ping, Pong, decode_message, encode_frame, join_message

Behaviour = Callable[[Frame], list[Frame]]
"""What it answers to a frame; greeting and pings are answered by themselves."""


class ScriptedWorker:
    """Serves one link after another."""

    def __init__(self, behaviour: Behaviour, name: str = "scripted", slots: int = 1) -> None:
        self._behaviour = behaviour
        self._info = WorkerInfo(name=name, slots=slots, tier=Tier.LANDLOCK)
        self.heard: list[Frame] = []
        self.url = ""
        self.token = "any"

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[ScriptedWorker]:
        async with serve(self._serve, "127.0.0.1", 0, compression=None) as server:
            self.url = f"http://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
            yield self

    async def _serve(self, socket: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for message in socket:
                assert isinstance(message, bytes)
                for frame in decode_message(message):
                    self.heard.append(frame)
                    answers = [encode_frame(one) for one in self._answers(frame)]
                    if answers:
                        await socket.send(join_message(answers))

    def _answers(self, frame: Frame) -> list[Frame]:
        match frame:
            case Hello():
                return [Hello(version=VERSION, peer_id=self._info.name, worker=self._info, window=8)]
            case Ping(number=number):
                return [Pong(number=number)]
            case _:
                return self._behaviour(frame)
