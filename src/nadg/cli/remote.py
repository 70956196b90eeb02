"""A run that a master carries out: given to it, followed, and shown at its end as one of this process would be."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from nadg.cli.console import create_console
from nadg.cli.failure import NothingRun, StoppedAtOnce
from nadg.cli.inputs import checked_out_folder, default_out_folder, input_files
from nadg.cli.interrupt import Interruption
from nadg.cli.render.plan import plan_tree
from nadg.cli.screen import create_screen
from nadg.cli.session import Results, RunRequest, check_source, exit_code_of_run, show_result
from nadg.cli.watch import ScreenWatcher
from nadg.domain.errors import NadgError, UserError
from nadg.domain.file_names import name_of_bytes
from nadg.domain.master_api import Submission, SubmittedFile
from nadg.domain.run import RunRecord

if TYPE_CHECKING:
    from rich.console import Console

    from nadg.client.master import MasterClient
    from nadg.settings import Settings

CALL_OFF_SECONDS = 2.0
"""So long a user who stops waits for the master to be told."""
SLOW_SECONDS = 1.0
"""After so long without an answer it is said that the master does not know yet that the run is to end."""
SIGNALLED = 128
"""Exit codes of those that a signal ended count from here."""


@asynccontextmanager
async def master_of(settings: Settings, watcher: ScreenWatcher) -> AsyncIterator[MasterClient]:
    """The master of NADG_MASTER_URL. Raises UserError where its token is not known here."""
    from nadg.bootstrap.remote import token_of_master
    from nadg.client.connection import Lasting, connected
    from nadg.client.master import MasterClient

    def advice() -> str:
        return way_out(settings.master_url, watcher.run_id)

    token, url = token_of_master(settings), settings.master_url
    async with connected(url, token, watcher.notice, Lasting(advice=advice)) as connection:
        yield MasterClient(connection)


def way_out(url: str, run_id: str) -> str:
    """What to do where a master stays away; `run_id` is empty where it has none of ours yet."""
    if not run_id:
        return f"The master at {url} stays away; Ctrl-C ends the waiting."
    return (
        f"The master at {url} stays away. One that shares its database goes on with run {run_id}; watch it there: "
        f"NADG_MASTER_URL=http://… nadg runs attach {run_id}"
    )


async def carry_out_remotely(settings: Settings, request: RunRequest) -> int:
    """The whole of `nadg run` with a master; returns the exit code. Raises UserError before anything is run."""
    check_source(request.command, request.plan_file)
    check_options(request)
    console = create_console(stderr=True)
    watcher = ScreenWatcher(create_screen(console, quiet=request.quiet), elsewhere=True)
    out, inputs = checked_out_folder(request.out), input_files(request.inputs)
    async with master_of(settings, watcher) as master:
        run_id = await _submitted(master, request, inputs)
        return await watch_to_its_end(settings, master, run_id, watcher, console, request, out)


async def watch_to_its_end(
    settings: Settings,
    master: MasterClient,
    run_id: str,
    watcher: ScreenWatcher,
    console: Console,
    request: RunRequest,
    out: Path | None,
) -> int:
    """Show a run that the master has, its answer and its files; returns the exit code. `console` is the screen's:
    what another one prints would get into the table that is drawn there.
    """
    if not request.quiet:
        console.print(
            f"Run {run_id} goes on at {master.url} if you leave; watch it again: nadg runs attach {run_id}",
            soft_wrap=True,
        )
    interruption = Interruption()
    watched = await watch_run(master, run_id, watcher, interruption, None if request.quiet else console)
    if watched is None:
        return _left(console, run_id, master.url, interruption)
    results = await fetched_results(settings, master, watched)
    await show_result(results, watched, request, out or default_out_folder(run_id))
    return exit_code_of_run(watched, interrupted=interruption.asked.is_set())


def check_options(request: RunRequest) -> None:
    """Raises UserError where one cannot be followed by a master elsewhere."""
    at = "with NADG_MASTER_URL set"
    if request.workers is not None:
        raise UserError(f"--workers: {at}, the master's workers are used; leave it out, or unset the variable")
    if request.follow:
        raise UserError(f"--follow: {at}, what subtasks print is not shown; leave it out, or unset the variable")
    if request.review and not request.yes:
        raise UserError(
            f"--review: {at}, the master begins as soon as it has a plan; save one (`nadg plan --save`), read it, "
            "and run it with --plan, or unset the variable"
        )


async def _submitted(master: MasterClient, request: RunRequest, inputs: Sequence[Path]) -> str:
    """The id of the run, once the master has stored it. Ctrl-C before that means that nothing is run."""
    from nadg.bootstrap.remote import fresh_run_id, plan_document

    plan = None if request.plan_file is None else await asyncio.to_thread(plan_document, request.plan_file)
    run_id = fresh_run_id()
    try:
        await master.health()
        submission = Submission(
            id=run_id,
            command=request.command,
            plan=plan,
            plan_name="" if request.plan_file is None else request.plan_file.name,
            inputs=tuple([await _sent(master, path) for path in inputs]),
            options=request.options,
            wishes=request.wishes,
            approved=request.yes,
        )
    except asyncio.CancelledError:
        raise NothingRun from None
    return await submit(master, submission)


async def submit(master: MasterClient, submission: Submission) -> str:
    """The id of the run, once the master has stored it. Ctrl-C before that means that nothing is run."""
    try:
        await master.submit(submission)
    except asyncio.CancelledError:
        raise await _called_off(master, submission.id) from None
    return submission.id


async def _called_off(master: MasterClient, run_id: str) -> StoppedAtOnce:
    """What to tell of a run that the master may have by now."""
    try:
        async with asyncio.timeout(CALL_OFF_SECONDS):
            await master.cancel(run_id, "cancelled by the user")
    except TimeoutError:
        return StoppedAtOnce(
            f"the master at {master.url} did not say whether it has run {run_id}, "
            f"and may not have heard the cancel; once it is up: nadg runs cancel {run_id}"
        )
    except NadgError:
        pass  # it does not know the run
    return NothingRun()


async def _sent(master: MasterClient, path: Path) -> SubmittedFile:
    ref = await master.send_file(path)
    return SubmittedFile(name=name_of_bytes(os.fsencode(path.name)), sha256=ref.sha256, size=ref.size)


async def watch_run(
    master: MasterClient,
    run_id: str,
    watcher: ScreenWatcher,
    interruption: Interruption,
    console: Console | None,
) -> RunRecord | None:
    """Show a run to its end, which the first Ctrl-C asks for; None where another signal ended the watching."""
    over = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        following = group.create_task(_follow(master, run_id, watcher, console))
        following.add_done_callback(lambda _: over.set())
        group.create_task(watcher.tick_until(over))
        asking = group.create_task(_act_on_signal(master, run_id, watcher, interruption, following))
        following.add_done_callback(lambda _: asking.cancel())
        with interruption.listening(following.cancel):
            await asyncio.wait({following})
    if not following.cancelled():
        return following.result()
    if interruption.by_user:
        raise StoppedAtOnce(_farewell(run_id, told=not asking.cancelled()))
    return None


def _farewell(run_id: str, *, told: bool) -> str:
    """Who leaves at once learns whether the run ends. `told`: the master knows that it is to."""
    if told:
        return f"stopped watching; run {run_id} ends by itself: nadg runs show {run_id}"
    return f"the cancel did not reach the master; run {run_id} goes on when one is up: nadg runs cancel {run_id}"


async def _follow(master: MasterClient, run_id: str, watcher: ScreenWatcher, console: Console | None) -> RunRecord:
    record = await master.record(run_id)
    if console is not None and not record.planning:
        console.print(plan_tree(record.plan, command=record.command, planner=record.planner))
    watcher.run_created(record.id, record.plan)
    async for event in master.events(record.id):
        watcher.changed(record.id, event.change)
    return await master.record(record.id)


async def _act_on_signal(
    master: MasterClient,
    run_id: str,
    watcher: ScreenWatcher,
    interruption: Interruption,
    following: asyncio.Task[RunRecord],
) -> None:
    await interruption.asked.wait()
    if not interruption.by_user:
        following.cancel()
        return
    await _told_to_end(master, watcher, run_id, interruption.reason)
    kept = "what is done is kept" + (", answers of models in the cache" if watcher.asks_model else "")
    watcher.notice(f"Cancelling: {kept}. Press Ctrl-C again to stop watching at once.")


async def _told_to_end(master: MasterClient, watcher: ScreenWatcher, run_id: str, reason: str) -> None:
    """Returns once the master knows; that it does not yet is said, since Ctrl-C seems to do nothing then."""
    late = asyncio.get_running_loop().call_later(
        SLOW_SECONDS,
        watcher.notice,
        "The cancel has not reached the master yet; it is told as soon as it answers. "
        "Press Ctrl-C again to leave the run as it is.",
    )
    try:
        await master.cancel(run_id, reason)
    finally:
        late.cancel()


def _left(console: Console, run_id: str, url: str, interruption: Interruption) -> int:
    """A closed terminal or a polite end of this process is no wish to end the run."""
    with contextlib.suppress(OSError):
        console.print(f"Run {run_id} goes on at {url}; watch it again: nadg runs attach {run_id}", soft_wrap=True)
    return SIGNALLED + interruption.signal


async def fetched_results(settings: Settings, master: MasterClient, record: RunRecord) -> Results:
    """What is shown and written of a run that has ended, fetched where it is not here."""
    from nadg.bootstrap.remote import FetchedResults

    results = FetchedResults(settings)
    for sha256 in await asyncio.to_thread(results.keep, record):
        await master.fetch(sha256, results.create_blob)
    return results
