"""The master that stays: takes runs in by the API, adopts those of masters that are gone, and carries them out."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from nadg import __version__
from nadg.api.bell import Bell
from nadg.api.errors import Stopping
from nadg.api.service import database_health
from nadg.bootstrap.adopting import Adopter
from nadg.bootstrap.asked import has_models, wishes_of_run
from nadg.bootstrap.fitness import what_lacks
from nadg.bootstrap.models import Notice
from nadg.bootstrap.orphans import end_orphan
from nadg.bootstrap.planning import new_run_id
from nadg.bootstrap.review import RunEstimate
from nadg.bootstrap.submitted import MasterRooms, grid_for, start_submitted
from nadg.domain.changes import Change
from nadg.domain.errors import LeaseLost, NadgError, NotFound, StoreUnavailable
from nadg.domain.master_api import CancelAnswer, Health, Submission
from nadg.domain.plan import Plan
from nadg.domain.run import Lease, RunRecord
from nadg.engines.grid import WorkerView
from nadg.engines.leaving import leave_tasks

UNANSWERED = "the database does not answer; the master waits for it, see GET /health"

_log = logging.getLogger(__name__)

STOP_SECONDS = 5.0
"""How long runs may take to be given up."""
STORE_SECONDS = 10.0
"""After so long it is asked whether a run that was submitted is not stored because of the database."""


class MasterWatcher:
    """What a run's changes are to a master: the bell rings for whoever follows it."""

    def __init__(self, bell: Bell, notice: Notice, created: Callable[[], None] = lambda: None) -> None:
        self._bell, self._created = bell, created
        self.notice = notice

    def run_created(self, run_id: str, plan: Plan) -> None:
        self._created()

    def changed(self, run_id: str, change: Change) -> None:
        self._bell.ring(run_id)

    def output(self, run_id: str, attempt_id: str, stream: str, text: str) -> None: ...

    def estimated(self, estimate: RunEstimate) -> None: ...

    def workers(self, views: Sequence[WorkerView]) -> None: ...


@dataclass(frozen=True, kw_only=True)
class _Coming:
    """A run that was submitted here."""

    stored: asyncio.Future[None]
    """Done once it is stored; fails where it never is."""
    task: asyncio.Task[None]


class Master:
    """A RunService. Each run is a task of its own; `stop` leaves them to other masters as they stand."""

    def __init__(self, rooms: MasterRooms, bell: Bell, notice: Notice) -> None:
        """`notice` is told what people may want to know of runs."""
        self._rooms, self._bell, self._notice = rooms, bell, notice
        self._tasks = asyncio.TaskGroup()
        self._runs: set[asyncio.Task[None]] = set()
        self._coming: dict[str, _Coming] = {}
        self._adopter = Adopter(
            rooms.store.runs,
            rooms.blobs,
            rooms.carrier,
            take=self._adopted,
            notice=notice,
            lease_seconds=rooms.settings.lease_seconds,
            lacks=self._lacks,
            able=self._has_worker,
        )
        self._adopting: asyncio.Task[None] | None = None
        self._called_off: set[str] = set()
        self._stopping = False

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._adopting = self._tasks.create_task(self._adopter.adopt_forever())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
        await leave_tasks(self._tasks, kind, error, trace)

    async def stop(self) -> None:
        """Take nothing more, and give every run up as it stands: another master goes on with it at once."""
        self._stopping = True
        self._rooms.carrier.leave()
        self._bell.close()
        if self._adopting is not None:
            self._adopting.cancel()
        if self._runs:
            _, late = await asyncio.wait(self._runs, timeout=STOP_SECONDS)
            for task in late:  # such as one that still waits for its plan
                task.cancel()

    # -- RunService

    async def submit(self, submission: Submission) -> str:
        if self._stopping:
            raise Stopping("this master is stopping; ask again once one is up")
        if submission.id in self._called_off:
            raise Stopping(f"run {submission.id} is just being called off; ask again")
        run_id = submission.id or new_run_id(self._rooms.clock)
        if run_id not in self._coming and submission.id and await self._is_stored(run_id):
            return run_id
        if run_id not in self._coming:
            self._coming[run_id] = self._begun(submission, run_id)
        await self._until_stored(run_id, self._coming[run_id].stored, is_known=bool(submission.id))
        return run_id

    def call_off(self, run_id: str) -> bool:
        coming = self._coming.get(run_id)
        if coming is None or coming.stored.done():
            return False
        coming.task.cancel()
        self._called_off.add(run_id)
        self._own(self._to_its_end(self._undone(run_id, coming.task), run_id, lambda: True))
        return True

    async def cancel(self, run_id: str, reason: str) -> CancelAnswer:
        runs = self._rooms.store.runs
        asked, ended = await runs.request_cancel(run_id, reason), False
        if not self._rooms.carrier.cancel(run_id, reason) and asked:
            ended = await end_orphan(runs, run_id, f"{reason}; its master was gone", self._rooms.clock)
        return CancelAnswer(id=run_id, asked=asked, ended=ended)

    def health(self) -> Health:
        database = database_health(self._rooms.store.trouble)
        status = "stopping" if self._stopping else "ok" if database.reachable else "waiting"
        return Health(
            status=status,
            database=database,
            runs=len(self._rooms.carrier.carried),
            workers=dict(Counter(str(view.state) for view in self._rooms.engine.workers())),
            version=__version__,
        )

    # -- within

    async def _is_stored(self, run_id: str) -> bool:
        try:
            async with asyncio.timeout(STORE_SECONDS):
                await self._rooms.store.runs.cancel_requested(run_id)
        except NotFound:
            return False
        except TimeoutError:
            raise StoreUnavailable(f"{UNANSWERED}; ask again, the run is {run_id} then too") from None
        return True

    async def _until_stored(self, run_id: str, stored: asyncio.Future[None], *, is_known: bool) -> None:
        """A plan may take its time, a database that does not answer may not: nobody can tell the two apart
        from without. Raises StoreUnavailable; a run whose id the caller did not choose is called off first.
        """
        while not stored.done():
            await asyncio.wait([stored], timeout=STORE_SECONDS)
            if stored.done() or await self._answers(run_id) or stored.done():
                continue
            if is_known:
                raise StoreUnavailable(f"{UNANSWERED}; run {run_id} waits for it, ask again with this id")
            self.call_off(run_id)
            raise StoreUnavailable(f"{UNANSWERED}; run {run_id} is called off, ask again")
        stored.result()

    async def _undone(self, run_id: str, task: asyncio.Task[None]) -> None:
        """What of a run that was called off was just being written is ended once it stands there."""
        await asyncio.wait([task])
        try:
            await self.cancel(run_id, "called off before it was stored")
        except NotFound:
            return
        finally:
            self._called_off.discard(run_id)

    async def _answers(self, run_id: str) -> bool:
        """Whether the database is not what a run waits for that is not stored yet."""
        try:
            await self._is_stored(run_id)
        except StoreUnavailable:
            return False
        return self._rooms.store.trouble is None

    def _begun(self, submission: Submission, run_id: str) -> _Coming:
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        stored.add_done_callback(lambda future: future.cancelled() or future.exception())  # nobody may be waiting

        def created() -> None:
            if not stored.done():
                stored.set_result(None)

        watcher = MasterWatcher(self._bell, self._about(run_id), created)
        carrying = start_submitted(submission, run_id, watcher, self._rooms)
        return _Coming(stored=stored, task=self._own(self._submitted(carrying, run_id, stored)))

    async def _submitted(self, carrying: Awaitable[object], run_id: str, stored: asyncio.Future[None]) -> None:
        failure: Exception = Stopping("the run was called off before it was stored")
        try:
            await self._to_its_end(carrying, run_id, stored.done)
        except Exception as error:  # noqa: BLE001 - of a run that never was: whoever submitted it is told
            failure = error
        finally:
            del self._coming[run_id]
            if not stored.done():
                stored.set_exception(failure)

    def _has_worker(self) -> bool:
        return any(view.state == "ready" for view in self._rooms.engine.workers())

    def _adopted(self, record: RunRecord, lease: Lease) -> None:
        self._notice(f"Going on with run {record.id}, whose master is gone.")
        self._own(self._to_its_end(self._go_on(record, lease), record.id, lambda: True))

    async def _go_on(self, record: RunRecord, lease: Lease) -> None:
        try:
            grid = await grid_for(wishes_of_run(record), self._rooms)
            watcher = MasterWatcher(self._bell, self._about(record.id))
            ended = await grid.go_on(record, lease, watcher, watcher.notice)
        except LeaseLost:
            raise
        except Exception:  # it would break off here again and again: others may go on with it at once
            self._adopter.leave(record.id)
            await self._rooms.store.runs.release(lease)
            raise
        self._notice(f"Run {record.id} ended: {ended.state}" + (f" ({ended.reason})." if ended.reason else "."))

    def _lacks(self, record: RunRecord) -> str:
        has_model = has_models(self._rooms.settings, wishes_of_run(record))
        return what_lacks(record, self._rooms.carrier.skills, has_model=has_model)

    async def _to_its_end(self, carrying: Awaitable[object], run_id: str, stored: Callable[[], bool]) -> None:
        """What goes wrong with a stored run is its own matter, and the log's; the master goes on."""
        try:
            await carrying
        except LeaseLost as error:
            self._notice(f"Run {run_id} {self._where_next(run_id, error)}.")
        except Exception as error:
            if not stored():
                raise
            _log.error("run %s broke off", run_id, exc_info=None if isinstance(error, NadgError) else error)
            self._notice(f"Run {run_id} broke off: {error}")

    def _where_next(self, run_id: str, error: LeaseLost) -> str:
        """What becomes of a run that this master lets go."""
        if not self._stopping:
            return f"goes on elsewhere: {error}"
        return f"was given up as it stands; another `nadg up` goes on with it (or: nadg runs resume {run_id})"

    def _about(self, run_id: str) -> Notice:
        return lambda text: self._notice(f"Run {run_id}: {text}")

    def _own(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        task = self._tasks.create_task(work)
        self._runs.add(task)
        task.add_done_callback(self._runs.discard)
        return task
