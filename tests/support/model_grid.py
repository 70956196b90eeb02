"""A grid whose model is the imitation, kept open in a thread, so that many tests can run commands on it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from pydantic import SecretStr

from nadg.bootstrap.asked import ModelWishes
from nadg.bootstrap.grid import Grid, open_grid
from nadg.bootstrap.quiet import QuietWatcher
from nadg.domain.changes import Change
from nadg.domain.run import RunOptions, RunRecord
from nadg.settings import Settings
from tests.support.gemini import GeminiImitation, Request
from tests.support.scripted_model import Part, Purpose, ScriptedModel, purpose_of

KEY = "test-key"
START_SECONDS = 60.0
RUN_SECONDS = 30.0
Result = TypeVar("Result")
Seen = Callable[[Change], None]


class Watcher(QuietWatcher):
    """Keeps changes and notices, and passes changes on to `seen`, on the grid's loop."""

    def __init__(self, seen: Seen | None = None) -> None:
        self.changes: list[Change] = []
        self.notices: list[str] = []
        self._seen = seen

    def changed(self, run_id: str, change: Change) -> None:
        self.changes.append(change)
        if self._seen is not None:
            self._seen(change)

    def notice(self, text: str) -> None:
        self.notices.append(text)


class Finished(msgspec.Struct, frozen=True, kw_only=True):
    """A run that ended: what is stored, what its `run.json` says, and what was seen and asked on the way."""

    record: RunRecord
    document: dict[str, Any]
    watcher: Watcher
    requests: list[Request]

    @property
    def answer(self) -> str:
        return str(self.document["answer"])

    def subtask(self, subtask_id: str) -> dict[str, Any]:
        return next(one for one in self.document["subtasks"] if one["id"] == subtask_id)

    def attempts(self, subtask_id: str) -> list[dict[str, Any]]:
        return [attempt for shard in self.subtask(subtask_id)["shards"] for attempt in shard["attempts"]]

    def asked(self, purpose: Purpose) -> list[Request]:
        """The requests of one purpose, in order."""
        return [one for one in self.requests if purpose_of(one) == purpose]

    def calls(self, purpose: str) -> list[dict[str, Any]]:
        return [one for one in self.document["calls"] if one["purpose"] == purpose]


class ModelGrid:
    """One imitation and one grid, on a loop of their own. Its methods are called from the test's thread."""

    def __init__(self, home: Path, wishes: ModelWishes, workers: int, concurrency: int) -> None:
        self.model = ScriptedModel()
        self.home = home
        self._wishes, self._workers, self._concurrency = wishes, workers, concurrency
        self._gates: list[Callable[[], Coroutine[Any, Any, None]]] = []
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event
        self.grid: Grid
        self.gemini: GeminiImitation

    def serve(self) -> None:
        """The thread's work: everything open, until `close`."""
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # noqa: BLE001 - raised again in the test's thread
            self._failure = error
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with GeminiImitation(self.model, api_key=KEY, sleep=self._pass_gates) as self.gemini:
            settings = model_settings(self.home, self.gemini.url, model_concurrency=self._concurrency)
            async with open_grid(settings, self._wishes, workers=self._workers) as self.grid:
                self._ready.set()
                await self._stop.wait()

    async def _pass_gates(self, seconds: float) -> None:
        """Stands before each chunk of an answer that has `tokens_per_second`: a gate may hold it."""
        del seconds
        for gate in self._gates:
            await gate()

    def wait_until_ready(self) -> None:
        assert self._ready.wait(START_SECONDS)
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        if self._failure is None:
            self._loop.call_soon_threadsafe(self._stop.set)

    def do(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run it on the grid's loop, to its end."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(RUN_SECONDS)
        finally:
            future.cancel()

    def run(
        self,
        command: str = "do it",
        inputs: Sequence[Path] = (),
        *,
        seen: Seen | None = None,
        gate: Callable[[], Coroutine[Any, Any, None]] | None = None,
        **parts: Part | Sequence[Part],
    ) -> Finished:
        """Plan and run a command with a model that answers so; `gate` stands before chunks of paced answers."""
        self.model.play(**parts)
        self._gates = [gate] if gate is not None else []
        watcher, first = Watcher(seen), len(self.gemini.requests)
        record = self.do(self.grid.plan_and_run(command, inputs, RunOptions(), watcher))
        document = json.loads(json.dumps(self.grid.run_document(record)))
        requests = self.gemini.requests[first:]
        return Finished(record=record, document=document, watcher=watcher, requests=requests)


def model_settings(home: Path, url: str, **more: Any) -> Settings:
    """Settings of a home whose model is the imitation at `url`."""
    return Settings(home=home, google_base_url=url, google_api_key=None, gemini_api_key=SecretStr(KEY), **more)


@contextlib.contextmanager
def model_grid(
    home: Path, wishes: ModelWishes | None = None, *, workers: int = 2, concurrency: int = 16
) -> Iterator[ModelGrid]:
    """A grid for the length of a `with`; what broke it off is raised at its end."""
    opened = ModelGrid(home, wishes or ModelWishes(), workers, concurrency)
    thread = threading.Thread(target=opened.serve, name="model-grid")
    thread.start()
    try:
        opened.wait_until_ready()
        yield opened
    finally:
        opened.close()
        thread.join()
    opened.wait_until_ready()
