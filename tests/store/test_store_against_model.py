"""The store against a model of it: owners that take turns, changes legal and not, the same answers."""

from __future__ import annotations

import asyncio
import datetime
import tempfile
from collections.abc import Coroutine, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from nadg.domain.assignment import Whole
from nadg.domain.changes import (
    AttemptAdded,
    AttemptChanged,
    Change,
    PlanSettled,
    RunChanged,
    ShardsAdded,
)
from nadg.domain.errors import IllegalTransition, LeaseLost
from nadg.domain.plan import Plan, PythonWork, Subtask
from nadg.domain.run import Lease, NewRun
from nadg.domain.states import (
    AttemptState,
    RunState,
)
from nadg.store import SqlStore, open_store
from tests.store.arbitrary_changes import SUBTASKS, changes, indexes, plan_changes, subtask_ids, texts
from tests.store.conftest import let_pass
from tests.store.model_run import ModelRun
from tests.support.postgres import Server

LEASE_SECONDS = 10


class ManualClock:
    """Moves when told."""

    def __init__(self) -> None:
        self.time = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)

    def now(self) -> datetime.datetime:
        return self.time

    def monotonic(self) -> float:
        return self.time.timestamp()


_owners = st.sampled_from(["ann", "bob", "eve"])


class StoreMachine(RuleBasedStateMachine):
    """Every owner keeps every lease it ever got, and goes on writing with it."""

    url = ""
    """Where the store is, cleared for each example; a file of its own where it is empty."""

    def clear(self) -> None:
        """The file is new."""

    @initialize(owner=_owners)
    def begin(self, owner: str) -> None:
        self.runner, self.exits = asyncio.Runner(), AsyncExitStack()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = ManualClock()
        place = self.url or Path(self.folder.name) / "nadg.db"
        self.clear()
        self.store: SqlStore = self.runner.run(self.exits.enter_async_context(open_store(place, self.clock)))
        parts = tuple(Subtask(id=one, work=PythonWork(kind="python", code="1")) for one in SUBTASKS)
        new = NewRun(id="run", command="c", planner="file", plan=Plan(subtasks=parts), planning=True)
        self.model = ModelRun(new, self.clock.now())
        lease = self.runner.run(self.store.runs.create(new, owner, LEASE_SECONDS))
        assert lease == self.model.take(owner, self._expiry())
        self.leases = [lease]

    def _expiry(self) -> datetime.datetime:
        return self.clock.now() + datetime.timedelta(seconds=LEASE_SECONDS)

    @rule(seconds=st.sampled_from([1, 5, 10, 30]))
    def time_passes(self, seconds: int) -> None:
        self.clock.time += datetime.timedelta(seconds=seconds)
        if self.url:
            let_pass(self.url, seconds)

    @rule(owner=_owners)
    def claim(self, owner: str) -> None:
        lease = self.runner.run(self.store.runs.claim("run", owner, LEASE_SECONDS))
        if self.model.is_held_by(owner, self.clock.now()):
            assert lease == self.model.lease
            self.model.expires = self._expiry()
        elif self.model.free(self.clock.now()):
            assert lease == self.model.take(owner, self._expiry())
            self.leases.append(lease)
        else:
            assert lease is None

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

    @rule(data=st.data(), changes=st.lists(changes, max_size=4))
    def commit(self, data: st.DataObject, changes: list[Change]) -> None:
        self._commit(data.draw(st.sampled_from(self.leases)), changes)

    @rule(changes=st.lists(changes, min_size=1, max_size=2))
    def commit_as_the_owner(self, changes: list[Change]) -> None:
        if self.model.lease is not None:
            self._commit(self.model.lease, changes)

    @rule(subtask_id=subtask_ids, index=indexes, number=st.integers(1, 3), state=st.sampled_from(AttemptState))
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
        moved = RunChanged(state=state, reason=state, answer=f"it {state}")
        self._commit(data.draw(st.sampled_from(self.leases)), [moved])

    @rule(changes=st.lists(plan_changes, min_size=1, max_size=4), begin=st.booleans())
    def write_the_plan(self, changes: list[Change], begin: bool) -> None:
        if self.model.lease is not None:
            moves = [RunChanged(state=RunState.RUNNING)] if begin else []
            self._commit(self.model.lease, [*moves, *changes])

    @rule(settled=st.builds(PlanSettled, goal=texts, answer=subtask_ids), first=st.integers(0, 9))
    def settle_the_plan(self, settled: PlanSettled, first: int) -> None:
        if self.model.lease is not None and first == 0:
            self._commit(self.model.lease, [settled])

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


def _settings(examples: int) -> settings:
    return settings(
        max_examples=examples, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
    )


def test_the_store_against_the_model_on_sqlite() -> None:
    run_state_machine_as_test(StoreMachine, settings=_settings(12))


@pytest.mark.parametrize("pooled", [False, True])
def test_the_store_against_the_model_on_postgresql(
    server: Server, pooler_port: int, used_database: str, pooled: bool
) -> None:
    class Machine(StoreMachine):
        url = server.url(used_database, port=pooler_port if pooled else 0)

        def clear(self) -> None:
            server.clear(used_database)

    run_state_machine_as_test(Machine, settings=_settings(4))
