"""The store against a model of it: owners that take turns, changes legal and not, the same answers."""

from __future__ import annotations

import asyncio
import datetime
import tempfile
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from msgspec.structs import replace

from nadg.domain.assignment import Files, Items, Merge, Part, Piece, Rows, Whole
from nadg.domain.blob import BlobRef, FileRef, Value
from nadg.domain.changes import (
    AttemptAdded,
    AttemptChanged,
    Change,
    RunChanged,
    ShardChanged,
    ShardsAdded,
    SubtaskChanged,
)
from nadg.domain.errors import IllegalTransition, LeaseLost
from nadg.domain.outcome import Outcome, Receipt
from nadg.domain.plan import Plan, PythonWork, Subtask
from nadg.domain.run import AttemptRecord, Lease, NewRun, RunRecord, ShardRecord, SubtaskRecord
from nadg.domain.states import (
    ATTEMPT_MOVES,
    RUN_MOVES,
    SHARD_MOVES,
    SUBTASK_MOVES,
    AttemptState,
    RunState,
    ShardState,
    SubtaskState,
    is_final,
    require_move,
)
from nadg.domain.tier import Tier
from nadg.store import SqlStore, StoredEvent, open_store

K = TypeVar("K")
V = TypeVar("V")

SUBTASKS = ("a", "b")
LEASE_SECONDS = 10


class ManualClock:
    """Moves when told."""

    def __init__(self) -> None:
        self.time = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)

    def now(self) -> datetime.datetime:
        return self.time

    def monotonic(self) -> float:
        return self.time.timestamp()


class ModelRun:
    """Every write notes how to take it back; a commit that is refused takes all of its own back."""

    def __init__(self, new: NewRun, now: datetime.datetime) -> None:
        self.id, self.term = new.id, 0
        self.lease: Lease | None = None
        self.expires: datetime.datetime | None = None
        self.events: list[StoredEvent] = []
        self._new, self._created_at = new, now
        self._run: dict[str, RunChanged] = {"": RunChanged(state=RunState.PLANNED)}
        self._finished_at: datetime.datetime | None = None
        self._subtasks = {
            one.id: SubtaskRecord(id=one.id, state=SubtaskState.WAITING) for one in new.plan.subtasks
        }
        self._shards: dict[tuple[str, int], ShardRecord] = {}
        self._attempts: dict[str, tuple[str, int, AttemptRecord]] = {}
        self._undo: list[Callable[[], object]] = []

    @property
    def state(self) -> RunState:
        return self._run[""].state

    def take(self, owner: str, expires: datetime.datetime) -> Lease:
        """The next term begins."""
        self.term, self.expires = self.term + 1, expires
        self.lease = Lease(run_id=self.id, owner=owner, term=self.term)
        return self.lease

    def free(self, now: datetime.datetime) -> bool:
        """Whether anyone may claim it."""
        return not is_final(self.state) and (self.expires is None or self.expires <= now)

    def give_back(self) -> None:
        self.lease = self.expires = None

    def commit(self, changes: Sequence[Change], now: datetime.datetime) -> None:
        """All of the changes or none."""
        self._undo = []
        try:
            for change in changes:
                self._apply(change, now)
        except IllegalTransition:
            for take_back in reversed(self._undo):
                take_back()
            raise
        first = len(self.events) + 1
        self.events += [StoredEvent(seq=seq, at=now, change=one) for seq, one in enumerate(changes, first)]
        if is_final(self.state):
            self.give_back()
            self._finished_at = now

    def record(self, now: datetime.datetime) -> RunRecord:
        return RunRecord(
            id=self.id,
            command=self._new.command,
            planner=self._new.planner,
            state=self.state,
            reason=self._run[""].reason,
            plan=self._new.plan,
            inputs=self._new.inputs,
            options=self._new.options,
            created_at=self._created_at,
            finished_at=self._finished_at,
            cancel_requested=False,
            subtasks=tuple(replace(one, shards=self._shards_of(one.id)) for one in self._subtasks.values()),
            orphaned=self.free(now),
        )

    def _shards_of(self, subtask_id: str) -> tuple[ShardRecord, ...]:
        tries: dict[int, list[AttemptRecord]] = {}
        for subtask, index, attempt in self._attempts.values():
            if subtask == subtask_id:
                tries.setdefault(index, []).append(attempt)
        found = sorted((index, shard) for (subtask, index), shard in self._shards.items() if subtask == subtask_id)
        return tuple(
            replace(shard, attempts=tuple(sorted(tries.get(index, ()), key=lambda one: one.number)))
            for index, shard in found
        )

    def _apply(self, change: Change, now: datetime.datetime) -> None:
        match change:
            case RunChanged():
                require_move(RUN_MOVES, self.state, change.state, self.id)
                self._put(self._run, "", change)
            case SubtaskChanged():
                self._move_subtask(change)
            case ShardsAdded():
                for index, piece in enumerate(change.pieces, change.first):
                    shard = ShardRecord(index=index, state=ShardState.QUEUED, piece=piece)
                    self._require(change.subtask_id in self._subtasks, change.subtask_id)
                    self._add(self._shards, (change.subtask_id, index), shard)
            case ShardChanged():
                key = (change.subtask_id, change.index)
                self._require(key in self._shards, key)
                state = require_move(SHARD_MOVES, self._shards[key].state, change.state, str(key))
                self._put(self._shards, key, replace(self._shards[key], state=state, reason=change.reason))
            case AttemptAdded():
                place = (change.subtask_id, change.index, change.number)
                taken = ((subtask, index, one.number) for subtask, index, one in self._attempts.values())
                self._require(place[:2] in self._shards and place not in taken, change.attempt_id)
                attempt = AttemptRecord(id=change.attempt_id, number=change.number, state=AttemptState.QUEUED)
                self._add(self._attempts, change.attempt_id, (change.subtask_id, change.index, attempt))
            case AttemptChanged():
                self._move_attempt(change, now)

    def _move_subtask(self, change: SubtaskChanged) -> None:
        self._require(change.subtask_id in self._subtasks, change.subtask_id)
        old = self._subtasks[change.subtask_id]
        require_move(SUBTASK_MOVES, old.state, change.state, change.subtask_id)
        moved = replace(
            old, state=change.state, reason=change.reason, result=change.result, artifacts=change.artifacts
        )
        self._put(self._subtasks, change.subtask_id, moved)

    def _move_attempt(self, change: AttemptChanged, now: datetime.datetime) -> None:
        self._require(change.attempt_id in self._attempts, change.attempt_id)
        subtask_id, index, old = self._attempts[change.attempt_id]
        require_move(ATTEMPT_MOVES, old.state, change.state, change.attempt_id)
        ended, outcome = is_final(change.state), change.outcome
        receipt = outcome.receipt if outcome else None
        worker = change.worker or (receipt.worker if receipt else "")
        began = (receipt.started_at if receipt and receipt.ran else None) if ended else change.at or now
        moved = replace(
            old,
            state=change.state,
            worker=worker or old.worker,
            reason=change.reason or (outcome.reason if outcome else ""),
            started_at=old.started_at or began,
            finished_at=(change.at or (receipt.finished_at if receipt else now)) if ended else None,
            outcome=outcome,
        )
        self._put(self._attempts, change.attempt_id, (subtask_id, index, moved))

    def _require(self, there: bool, what: object) -> None:
        if not there:
            raise IllegalTransition(f"run {self.id} {what}: absent")

    def _add(self, table: dict[K, V], key: K, value: V) -> None:
        if key in table:
            raise IllegalTransition(f"run {self.id} {key}: there already")
        table[key] = value
        self._undo.append(lambda: table.pop(key))

    def _put(self, table: dict[K, V], key: K, value: V) -> None:
        old = table[key]
        table[key] = value
        self._undo.append(lambda: table.__setitem__(key, old))


_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
_times = st.datetimes(
    datetime.datetime(2000, 1, 1),
    datetime.datetime(2100, 1, 1),
    timezones=st.sampled_from([datetime.UTC, datetime.timezone(datetime.timedelta(hours=-5))]),
)
_blobs = st.builds(BlobRef, sha256=st.just("0f" * 32), size=st.integers(0, 1 << 50))
_files = st.builds(FileRef, name=_text, blob=_blobs)
_values = st.builds(Value, inline=st.binary(max_size=8)) | st.builds(Value, blob=_blobs)
_numbers = st.integers(0, 1 << 40)
_pieces: st.SearchStrategy[Piece] = st.one_of(
    st.just(Whole()),
    st.builds(Items, first=_numbers, count=_numbers, values=_values),
    st.builds(Files, first=_numbers, files=st.tuples(_files)),
    st.builds(
        Rows, file=_files, first=_numbers, count=_numbers, start=_numbers, stop=_numbers, header_stop=_numbers
    ),
    st.builds(Merge, parts=st.tuples(st.builds(Part, result=_values, files=st.tuples(_files)))),
)
_receipts = st.builds(
    Receipt,
    worker=_text,
    sandbox_tier=st.sampled_from(Tier),
    code_sha256=_text,
    input_sha256s=st.dictionaries(_text, _text, max_size=2),
    started_at=_times,
    finished_at=_times,
    exit_code=st.none() | st.integers(0, 255),
    cpu_seconds=st.floats(0, 1e9),
)
_outcomes = st.builds(
    Outcome,
    kind=st.sampled_from(["succeeded", "failed", "crashed"]),
    receipt=_receipts,
    reason=_text,
    result=st.none() | _values,
    artifacts=st.tuples(_files),
    notes=st.tuples(_text),
)
_subtask_ids = st.sampled_from(SUBTASKS)
_indexes = st.integers(0, 2)
_attempt_ids = st.sampled_from(["1", "2", "3"])
_changes: st.SearchStrategy[Change] = st.one_of(
    st.builds(SubtaskChanged, subtask_id=_subtask_ids, state=st.sampled_from(SubtaskState), reason=_text),
    st.builds(
        SubtaskChanged,
        subtask_id=_subtask_ids,
        state=st.just(SubtaskState.SUCCEEDED),
        result=_values,
        artifacts=st.tuples(_files),
    ),
    st.builds(
        ShardsAdded, subtask_id=_subtask_ids, first=_indexes, pieces=st.lists(_pieces, max_size=2).map(tuple)
    ),
    st.builds(
        ShardChanged, subtask_id=_subtask_ids, index=_indexes, state=st.sampled_from(ShardState), reason=_text
    ),
    st.builds(
        AttemptAdded, attempt_id=_attempt_ids, subtask_id=_subtask_ids, index=_indexes, number=st.integers(1, 3)
    ),
    st.builds(
        AttemptChanged,
        attempt_id=_attempt_ids,
        state=st.sampled_from(AttemptState),
        worker=st.sampled_from(["", "w"]),
        at=st.none() | _times,
        reason=_text,
        outcome=st.none() | _outcomes,
    ),
)
_owners = st.sampled_from(["ann", "bob", "eve"])


class StoreMachine(RuleBasedStateMachine):
    """Every owner keeps every lease it ever got, and goes on writing with it."""

    @initialize(owner=_owners)
    def begin(self, owner: str) -> None:
        self.runner, self.exits = asyncio.Runner(), AsyncExitStack()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = ManualClock()
        place = Path(self.folder.name) / "nadg.db"
        self.store: SqlStore = self.runner.run(self.exits.enter_async_context(open_store(place, self.clock)))
        parts = tuple(Subtask(id=one, work=PythonWork(kind="python", code="1")) for one in SUBTASKS)
        new = NewRun(id="run", command="c", planner="file", plan=Plan(subtasks=parts))
        self.model = ModelRun(new, self.clock.now())
        lease = self.runner.run(self.store.runs.create(new, owner, LEASE_SECONDS))
        assert lease == self.model.take(owner, self._expiry())
        self.leases = [lease]

    def _expiry(self) -> datetime.datetime:
        return self.clock.now() + datetime.timedelta(seconds=LEASE_SECONDS)

    @rule(seconds=st.sampled_from([1, 5, 10, 30]))
    def time_passes(self, seconds: int) -> None:
        self.clock.time += datetime.timedelta(seconds=seconds)

    @rule(owner=_owners)
    def claim(self, owner: str) -> None:
        lease = self.runner.run(self.store.runs.claim("run", owner, LEASE_SECONDS))
        assert (lease is not None) == self.model.free(self.clock.now())
        if lease is not None:
            assert lease == self.model.take(owner, self._expiry())
            self.leases.append(lease)

    @rule(data=st.data())
    def renew(self, data: st.DataObject) -> None:
        lease = data.draw(st.sampled_from(self.leases))
        if self._fails(self.store.runs.renew(lease, LEASE_SECONDS)) is None:
            assert lease == self.model.lease
            self.model.expires = self._expiry()
        else:
            assert lease != self.model.lease

    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        lease = data.draw(st.sampled_from(self.leases))
        self.runner.run(self.store.runs.release(lease))
        if lease == self.model.lease:
            self.model.give_back()

    @rule(data=st.data(), changes=st.lists(_changes, max_size=4))
    def commit(self, data: st.DataObject, changes: list[Change]) -> None:
        self._commit(data.draw(st.sampled_from(self.leases)), changes)

    @rule(changes=st.lists(_changes, min_size=1, max_size=2))
    def commit_as_the_owner(self, changes: list[Change]) -> None:
        if self.model.lease is not None:
            self._commit(self.model.lease, changes)

    @rule(subtask_id=_subtask_ids, index=_indexes, number=st.integers(1, 3), state=st.sampled_from(AttemptState))
    def commit_a_whole_try(self, subtask_id: str, index: int, number: int, state: AttemptState) -> None:
        if self.model.lease is not None:
            shards = ShardsAdded(subtask_id=subtask_id, first=index, pieces=(Whole(),))
            attempt = AttemptAdded(attempt_id=str(number), subtask_id=subtask_id, index=index, number=number)
            begun = AttemptChanged(attempt_id=str(number), state=AttemptState.RUNNING)
            ended = AttemptChanged(attempt_id=str(number), state=state, worker="w")
            for change in (shards, attempt, begun, ended):
                self._commit(self.model.lease, [change])

    @rule(data=st.data(), state=st.sampled_from(RunState))
    def move_the_run(self, data: st.DataObject, state: RunState) -> None:
        self._commit(data.draw(st.sampled_from(self.leases)), [RunChanged(state=state, reason=state)])

    def _commit(self, lease: Lease, changes: Sequence[Change]) -> None:
        expected: type[Exception] | None = LeaseLost
        if lease == self.model.lease:
            expected = None
            try:
                self.model.commit(changes, self.clock.now())
            except IllegalTransition:
                expected = IllegalTransition
        assert self._fails(self.store.runs.commit(lease, changes)) is expected

    def _fails(self, asked: Coroutine[None, None, object]) -> type[Exception] | None:
        try:
            self.runner.run(asked)
        except (LeaseLost, IllegalTransition) as error:
            return type(error)
        return None

    @invariant()
    def the_store_says_what_the_model_says(self) -> None:
        assert self.runner.run(self.store.runs.get("run")) == self.model.record(self.clock.now())
        events = self.runner.run(self.store.runs.events_after("run", 0))
        assert events == self.model.events
        assert [event.seq for event in events] == list(range(1, len(events) + 1))

    def teardown(self) -> None:
        self.runner.run(self.exits.aclose())
        self.runner.close()
        self.folder.cleanup()


StoreMachine.TestCase.settings = settings(
    max_examples=25, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
TestStoreAgainstModel = StoreMachine.TestCase
