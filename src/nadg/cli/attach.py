"""`nadg runs attach`: a run that another process carries out, watched to its end and shown as `nadg run` does."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from nadg.cli.configuration import read_settings
from nadg.cli.console import create_console
from nadg.cli.failure import StoppedAtOnce
from nadg.cli.inputs import checked_out_folder, default_out_folder
from nadg.cli.render.answer import verdict
from nadg.cli.render.plan import plan_tree
from nadg.cli.screen import create_screen
from nadg.cli.session import Results, RunRequest, exit_code_of_run, show_result
from nadg.cli.watch import ScreenWatcher
from nadg.domain.changes import Change, RunChanged
from nadg.domain.run import RunRecord
from nadg.domain.states import is_final

if TYPE_CHECKING:
    from rich.console import Console

    from nadg.bootstrap.records import StoreOnly
    from nadg.client.master import MasterClient
    from nadg.settings import Settings

LOOK_SECONDS = 0.3
"""How often another process's run is looked at; the store is all that two processes share."""
SILENT_LOOKS = 10
"""After so many looks at which nothing was new it is asked whether the run's master is still there."""


class TimedEvent(Protocol):
    """An entry of a run's event log, wherever it was read."""

    @property
    def at(self) -> datetime.datetime: ...

    @property
    def change(self) -> Change: ...


class Source(Protocol):
    """Where a run is read."""

    async def record(self, prefix: str) -> RunRecord:
        """As it stands; its id may be cut short. Raises NotFound."""
        ...

    def events(self, run_id: str) -> AsyncIterator[TimedEvent]:
        """All that happened and all that happens, until the run has ended or nobody carries it out."""
        ...

    async def results(self, record: RunRecord) -> Results | None:
        """What came of a run that has ended; None where its files are not to be had."""
        ...


async def attach_run(prefix: str, out: Path | None) -> int:
    """Show a run to its end, its answer and its files; returns the exit code that fits how it ended.

    Raises StoppedAtOnce at Ctrl-C, which ends no run, and UserError.
    """
    settings, folder = read_settings(), checked_out_folder(out)
    console = create_console(stderr=True)
    watcher = ScreenWatcher(create_screen(console, quiet=False), elsewhere=True)
    try:
        async with _source(settings, watcher) as source:
            record = await _watched(source, prefix, watcher, console)
            await _show(source, record, folder or default_out_folder(record.id), console)
    except asyncio.CancelledError:
        if not watcher.run_id or watcher.ended:
            raise
        again = f"watch it again: nadg runs attach {watcher.run_id}"
        raise StoppedAtOnce(f"stopped watching; run {watcher.run_id} goes on; {again}") from None
    return exit_code_of_run(record, interrupted=False)


async def _watched(source: Source, prefix: str, watcher: ScreenWatcher, console: Console) -> RunRecord:
    record = await source.record(prefix)
    if not record.planning:
        console.print(plan_tree(record.plan, command=record.command, planner=record.planner))
    watcher.run_created(record.id, record.plan, record.created_at)
    over = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(watcher.tick_until(over))
        try:
            async for event in source.events(record.id):
                watcher.changed(record.id, event.change, event.at)
        finally:
            over.set()
    return await source.record(record.id)


async def _show(source: Source, record: RunRecord, folder: Path, console: Console) -> None:
    results = await source.results(record) if is_final(record.state) else None
    if results is not None:
        await show_result(results, record, RunRequest(), folder)
        return
    console.print(verdict(record), soft_wrap=True)
    if record.orphaned:
        ways = f"Go on with it: nadg runs resume {record.id}; or end it: nadg runs cancel {record.id}"
        console.print(ways, soft_wrap=True)
    elif is_final(record.state):
        console.print("Its files are on another machine, at the master that carried it out.", soft_wrap=True)


def _source(settings: Settings, watcher: ScreenWatcher) -> AbstractAsyncContextManager[Source]:
    return _at_a_master(settings, watcher) if settings.master_url else _in_the_store(settings)


@asynccontextmanager
async def _at_a_master(settings: Settings, watcher: ScreenWatcher) -> AsyncIterator[Source]:
    from nadg.cli.remote import master_of

    async with master_of(settings, watcher) as master:
        yield _AtAMaster(settings, master)


class _AtAMaster:
    def __init__(self, settings: Settings, master: MasterClient) -> None:
        self._settings, self._master = settings, master

    async def record(self, prefix: str) -> RunRecord:
        return await self._master.record(prefix)

    def events(self, run_id: str) -> AsyncIterator[TimedEvent]:
        return self._master.events(run_id)

    async def results(self, record: RunRecord) -> Results:
        from nadg.cli.remote import fetched_results

        return await fetched_results(self._settings, self._master, record)


@asynccontextmanager
async def _in_the_store(settings: Settings) -> AsyncIterator[Source]:
    from nadg.bootstrap.records import open_store_only

    async with open_store_only(settings) as store:
        yield _InTheStore(settings, store)


class _InTheStore:
    def __init__(self, settings: Settings, store: StoreOnly) -> None:
        self._settings, self._store = settings, store

    async def record(self, prefix: str) -> RunRecord:
        return await self._store.runs.get(await self._store.runs.find(prefix))

    async def events(self, run_id: str) -> AsyncIterator[TimedEvent]:
        seen, silent_looks, never = 0, 0, asyncio.Event()
        while True:
            events = await self._store.runs.events_after(run_id, seen)
            for event in events:
                seen = event.seq
                yield event
                if isinstance(event.change, RunChanged) and is_final(event.change.state):
                    return
            silent_looks = 0 if events else silent_looks + 1
            if events:
                continue
            if silent_looks % SILENT_LOOKS == 1 and (await self._store.runs.get(run_id)).orphaned:
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(never.wait(), LOOK_SECONDS)

    async def results(self, record: RunRecord) -> Results | None:
        from nadg.bootstrap.remote import FetchedResults

        results = FetchedResults(self._settings)
        missing = await asyncio.to_thread(results.keep, record)
        return None if missing else results
