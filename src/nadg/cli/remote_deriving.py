"""`nadg runs resume` and `fork` with a master elsewhere: the new run is its own, and outlives this command."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any

from nadg.cli.console import create_console
from nadg.cli.deriving import Abandoned, Derivation, check_derivation, check_parent, edited_plan
from nadg.cli.failure import FAILED, NothingRun
from nadg.cli.inputs import checked_out_folder
from nadg.cli.kept import KeptWatcher
from nadg.cli.remote import check_options, master_of, submit, watch_to_its_end
from nadg.cli.screen import create_screen
from nadg.cli.session import REFUSED, RunRequest
from nadg.domain.errors import UserError
from nadg.domain.master_api import Submission
from nadg.domain.run import RunRecord
from nadg.domain.states import is_final

if TYPE_CHECKING:
    from rich.console import Console

    from nadg.client.master import MasterClient
    from nadg.settings import Settings


async def carry_out_remotely(settings: Settings, asked: Derivation, request: RunRequest) -> int:
    """Returns the exit code. Raises UserError before anything is run."""
    check_derivation(asked)
    check_options(request)
    console = create_console(stderr=True)
    watcher = KeptWatcher(create_screen(console, quiet=request.quiet), elsewhere=True)
    out = checked_out_folder(request.out)
    async with master_of(settings, watcher) as master:
        try:
            submission = await _submission(master, asked, request, console, settings.lease_seconds)
        except Abandoned:
            print(REFUSED, file=sys.stderr)
            return FAILED
        except asyncio.CancelledError:
            raise NothingRun from None
        run_id = await submit(master, submission)
        watcher.keeps_of(submission.parent)
        return await watch_to_its_end(settings, master, run_id, watcher, console, request, out)


async def _submission(
    master: MasterClient, asked: Derivation, request: RunRequest, console: Console, lease_seconds: float
) -> Submission:
    from nadg.bootstrap.remote import fresh_run_id

    await master.health()
    parent = await master.record(asked.run)
    check_parent(parent, asked, lease_seconds)
    if not asked.from_subtask and not is_final(parent.state):
        raise UserError(
            f"the master of run {parent.id} is gone, and the one at {master.url} goes on with it by itself "
            f"where it has its files; watch it: `nadg runs attach {parent.id}`"
        )
    return Submission(
        id=fresh_run_id(),
        parent=parent.id,
        from_subtask=asked.from_subtask,
        plan=await _plan(parent, asked, console),
        plan_name="" if asked.plan_file is None else asked.plan_file.name,
        options=request.options,
        wishes=request.wishes,
    )


async def _plan(parent: RunRecord, asked: Derivation, console: Console) -> dict[str, Any] | None:
    from nadg.bootstrap.remote import plan_document

    if asked.plan_file is not None:
        return await asyncio.to_thread(plan_document, asked.plan_file)
    edited = await edited_plan(parent, console) if asked.edit else None
    return None if edited is None else edited.plan.document()
