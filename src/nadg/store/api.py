"""What a store offers, whatever database it lies in."""

from __future__ import annotations

import builtins
import datetime
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Protocol

import msgspec

from nadg.domain.blob import BlobRef
from nadg.domain.changes import Change
from nadg.domain.model_calls import CallCharge, CallRecord, ModelUsage, StoredAnswer
from nadg.domain.outcome import Outcome
from nadg.domain.run import Lease, NewRun, RunRecord, RunSummary
from nadg.domain.states import RunState
from nadg.domain.worker import WorkerInfo, WorkerNode, WorkerNote, WorkerStatus

LEASE_SECONDS = 30.0
"""How long a lease lasts without being renewed."""


class StoredEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A change as the event log keeps it; `seq` counts from 1 within its run, without holes."""

    seq: int
    at: datetime.datetime
    change: Change
    term: int = 0
    """Under which lease it was written; never smaller than that of the event before. 0: by an older version."""


class ReusableOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What an attempt gave that may serve for equal work."""

    attempt_id: str
    outcome: Outcome


class StoredBlob(msgspec.Struct, frozen=True, kw_only=True):
    """A blob the store knows of, for pruning."""

    blob: BlobRef
    created_at: datetime.datetime
    last_used_at: datetime.datetime


class StoreTrouble(msgspec.Struct, frozen=True, kw_only=True):
    """The database does not answer, and is asked again until it does."""

    since: datetime.datetime
    reason: str
    """Why, as far as is known: for people, without secrets."""
    tries: int
    """How often the operation at hand failed by now."""


OnTrouble = Callable[[StoreTrouble | None], None]
"""Told on the event loop when trouble begins, when its reason changes, and with None when it is over."""


class Runs(Protocol):
    """Runs and everything below them. A write needs the run's lease; whoever lost it gets LeaseLost."""

    async def create(self, new: NewRun, owner: str, lease_seconds: float = LEASE_SECONDS) -> Lease:
        """Store a planned run with its waiting subtasks; the same run and owner again give the same lease.

        Raises UserError where the id is taken.
        """
        ...

    async def get(self, run_id: str) -> RunRecord:
        """The whole run as of one moment. Raises NotFound."""
        ...

    async def list(self, limit: int = 50, states: Iterable[RunState] | None = None) -> builtins.list[RunSummary]:
        """Newest first."""
        ...

    async def find(self, prefix: str) -> str:
        """The one run id that starts so. Raises NotFound, or UserError where several do."""
        ...

    async def request_cancel(self, run_id: str, reason: str) -> bool:
        """Ask whoever owns the run to end it; False where it has ended. The first reason is kept."""
        ...

    async def cancel_requested(self, run_id: str) -> str | None:
        """The reason of a request to cancel, None where there was none. Raises NotFound."""
        ...

    async def unowned(self, limit: int = 20) -> builtins.list[str]:
        """Runs that have not ended and that no master holds, oldest first: the lease ran out or was given up."""
        ...

    async def claim(self, run_id: str, owner: str, lease_seconds: float = LEASE_SECONDS) -> Lease | None:
        """Take over a run whose lease has run out or was released; None where it has not, or the run ended.

        Who holds it gets the same lease again, for longer: a claim whose answer was lost may be repeated.
        """
        ...

    async def renew(self, lease: Lease, lease_seconds: float = LEASE_SECONDS) -> None:
        """Keep the lease from now for that long. Raises LeaseLost."""
        ...

    async def release(self, lease: Lease) -> None:
        """Give the lease back, so that another may claim at once; harmless where it is lost already."""
        ...

    async def commit(self, lease: Lease, changes: Sequence[Change]) -> int:
        """Write all changes and their events, or none; gives the sequence number of the last event.

        Commits that wait at the same time share a transaction. Raises LeaseLost, IllegalTransition where
        a change is no legal move (an attempt ends once) or the plan does not allow it (a settled one does
        not grow), ValueError where a document is no subtask's, StoreUnavailable where the database fails.
        A caller that is cancelled meanwhile cannot tell whether its changes were written.
        """
        ...

    async def plan_events(self, run_id: str) -> builtins.list[StoredEvent]:
        """In order, how the plan grew its shards: ShardsAdded, SubtaskRedefined, PlanSettled, CodeChanged."""
        ...

    async def reusable(self, keys: Iterable[str], environments: Collection[str]) -> dict[str, ReusableOutcome]:
        """By cache key, the newest successful outcome of equal work in one of these environments."""
        ...

    async def prune(self, ended_before: datetime.datetime, limit: int = 100) -> builtins.list[str]:
        """Forget runs that ended before then, oldest first, and at most so many; gives their ids.

        Fewer where they are large: none is left once it gives no id.
        """
        ...

    async def events_after(self, run_id: str, seq: int, limit: int = 1000) -> builtins.list[StoredEvent]:
        """The next events in order; empty for a run that does not exist."""
        ...

    async def delete(self, run_id: str) -> None:
        """Forget a run, whole, and what it asked of models. Raises NotFound, UserError while it still goes on."""
        ...


class Workers(Protocol):
    """The registry of worker nodes."""

    async def add(self, url: str, name: str = "", local: bool = False) -> WorkerNode:
        """Register a worker, offline until it is seen; the same URL again gives the row that is there.

        The name of one that is not `local` is its id, so it stays whatever the worker calls itself. Raises
        UserError where another worker has that id.
        """
        ...

    async def list(self) -> builtins.list[WorkerNode]:
        """Oldest first."""
        ...

    async def get(self, key: str) -> WorkerNode:
        """By id, URL or name. Raises NotFound, or UserError where a name fits several."""
        ...

    async def remove(self, worker_id: str) -> None:
        """Raises NotFound."""
        ...

    async def set_status(self, worker_id: str, status: WorkerStatus, reason: str = "") -> None:
        """Raises NotFound."""
        ...

    async def note(self, notes: Iterable[WorkerNote]) -> datetime.datetime:
        """Write what a master finds of workers, but where somebody else wrote of one meanwhile.

        Gives the moment that stands now as the last ping of those it has links to.
        """
        ...

    async def seen(self, url: str, info: WorkerInfo, status: WorkerStatus) -> WorkerNode:
        """A worker spoke: note what it says of itself; one not known yet is registered."""
        ...


class BlobIndex(Protocol):
    """Which blobs exist and when each was last of use; the bytes are files elsewhere."""

    async def record(self, refs: Iterable[BlobRef]) -> None:
        """Blobs are here, and used now; recording one again only touches it."""
        ...

    async def touch(self, sha256s: Iterable[str]) -> None:
        """Blobs were used; unknown names are passed over."""
        ...

    async def unused_since(self, moment: datetime.datetime, limit: int = 1000) -> builtins.list[StoredBlob]:
        """Blobs last used before that moment, longest unused first."""
        ...

    async def forget(self, sha256s: Iterable[str]) -> None:
        """Blobs are gone."""
        ...


class ModelCalls(Protocol):
    """What runs asked of language models, and what it took. Each write is durable when it returns."""

    async def charge(self, charge: CallCharge) -> None:
        """Before a request is sent; its run need not be stored yet. Harmless when repeated; raises ValueError
        where the id is another call's."""
        ...

    async def settle(self, call_id: str, state: str, usage: ModelUsage | None, reason: str = "") -> None:
        """After it, as one of `Settlement`. The first settling stands, and an unknown id is passed over."""
        ...

    async def record(self, record: CallRecord) -> None:
        """Something that needs no charge: an answer out of the cache. As `charge` otherwise."""
        ...

    async def calls(self, run_id: str) -> Sequence[CallRecord]:
        """All of a run, in order; empty where there are none."""
        ...

    async def prune(self, before: datetime.datetime) -> int:
        """Forget those older than that which belong to no stored run; gives how many."""
        ...


class ModelAnswers(Protocol):
    """Answers of language models by the hash of what was asked."""

    async def get(self, key: str) -> StoredAnswer | None: ...

    async def put(self, key: str, answer: StoredAnswer) -> None:
        """Keep it; a later one for the same key takes its place."""
        ...

    async def forget(self, key: str) -> None:
        """Keep it no longer; harmless where there is none."""
        ...

    async def prune(self, unused_since: datetime.datetime) -> int:
        """Forget those that nobody asked for since then; gives how many."""
        ...


class Store(Protocol):
    """Everything a master remembers."""

    @property
    def runs(self) -> Runs: ...

    @property
    def workers(self) -> Workers: ...

    @property
    def blobs(self) -> BlobIndex: ...

    @property
    def model_calls(self) -> ModelCalls: ...

    @property
    def model_answers(self) -> ModelAnswers: ...

    @property
    def trouble(self) -> StoreTrouble | None:
        """Why the database does not answer just now; None where it does."""
        ...

    async def referenced_blobs(self) -> frozenset[str]:
        """The SHA-256 of every blob that a stored run speaks of; looks at all of them, in portions.

        Of a run that is changed meanwhile it may not know what was named last.
        """
        ...

    async def statistics(self) -> Mapping[str, int]:
        """A few counts: `runs_STATE`, `workers_STATUS`, `blobs`, `blob_bytes`; states with none are left out."""
        ...
