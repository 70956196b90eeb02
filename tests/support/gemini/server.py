"""The imitation as a server on loopback: in the running event loop, or in a thread with a loop of its own."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Self

import uvicorn

from tests.support.gemini.api import DEFAULT_MODELS, GeminiApi
from tests.support.gemini.exchange import Sleep
from tests.support.gemini.quota import Quota
from tests.support.gemini.requests import Request
from tests.support.gemini.script import Script

_CLOSE_SECONDS = 2
_START_SECONDS = 20.0


class GeminiImitation:
    """The Gemini REST API, answered by a script.

    `async with GeminiImitation(script) as gemini:` serves in the running loop; `gemini.url` is the base address
    without a version. `quota` refuses requests before the script sees them. `clock` stamps requests; `sleep`
    paces answers that have `tokens_per_second`. Leaving raises what the script itself raised, if it did.
    """

    def __init__(
        self,
        script: Script,
        *,
        api_key: str = "test-key",
        quota: Quota | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Sleep = asyncio.sleep,
        models: Iterable[str] = DEFAULT_MODELS,
        port: int = 0,
    ) -> None:
        self.quota = quota
        self._api = GeminiApi(script, api_key=api_key, quota=quota, clock=clock, sleep=sleep, models=models)
        self._port = port
        self._serving: asyncio.Task[None] | None = None
        self._server: _LoopbackServer | None = None

    @property
    def requests(self) -> list[Request]:
        """The requests that reached the script, in order."""
        return self._api.requests

    @property
    def url(self) -> str:
        """The base address. Only meaningful while it serves."""
        return f"http://127.0.0.1:{self._port}"

    def on_request(self, tell: Callable[[Request], None]) -> None:
        """Call `tell` with each request that reaches the script, in the serving thread."""
        self._api.on_request = tell

    async def __aenter__(self) -> Self:
        listener = socket.create_server(("127.0.0.1", self._port))
        self._port = listener.getsockname()[1]
        self._server = _LoopbackServer(_uvicorn_config(self._api), on_stop=self._api.stop)
        self._serving = asyncio.create_task(self._server.serve(sockets=[listener]))
        started = asyncio.create_task(self._server.started_event.wait())
        await asyncio.wait({self._serving, started}, return_when=asyncio.FIRST_COMPLETED)
        started.cancel()
        if self._serving.done():
            listener.close()
            await self._serving
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        assert self._serving is not None
        self._server.should_exit = True
        await self._serving
        if error is None and self._api.script_error is not None:
            raise self._api.script_error


class _LoopbackServer(uvicorn.Server):
    """A server that leaves signals alone, says when it is ready, and wakes waiting answers when it stops."""

    def __init__(self, config: uvicorn.Config, *, on_stop: Callable[[], None]) -> None:
        super().__init__(config)
        self.started_event = asyncio.Event()
        self._on_stop = on_stop

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.started_event.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._on_stop()
        await super().shutdown(sockets)


def _uvicorn_config(app: object) -> uvicorn.Config:
    return uvicorn.Config(
        app,  # type: ignore[arg-type]  # uvicorn's own ASGI types are not starlette's
        ws="none",
        http="h11",
        loop="asyncio",
        lifespan="off",
        log_config=None,
        # Every connection that is dropped on purpose would be logged as an error.
        log_level="critical",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_CLOSE_SECONDS,
    )


@contextlib.contextmanager
def run_in_thread(imitation: GeminiImitation) -> Iterator[GeminiImitation]:
    """Serve from a thread with its own loop, for callers that have none or whose loop must not be shared."""
    ready = threading.Event()
    failures: list[BaseException] = []
    stops: list[Callable[[], object]] = []

    async def serve() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        async with imitation:
            stops.append(lambda: loop.call_soon_threadsafe(stop.set))
            ready.set()
            await stop.wait()

    def run() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits, which raises it
            failures.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=run, name="gemini-imitation")
    thread.start()
    try:
        ready.wait(_START_SECONDS)
        if stops:
            yield imitation
    finally:
        for stop in stops:
            stop()
        thread.join()
    if failures:
        raise failures[0]
