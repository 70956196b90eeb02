"""What a new owner asks for first, and what it takes from the record, case by case."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from nadg.domain import changes as ch
from nadg.domain import commands as cmd
from nadg.domain import events as ev
from nadg.domain.plan import Foreach, Plan, PythonWork, Subtask
from nadg.domain.run import NewRun, RunOptions, RunRecord
from nadg.domain.states import RunState, ShardState, SubtaskState
from nadg.orchestrator.decide import decide
from nadg.orchestrator.progress import RunProgress, create_progress
from nadg.orchestrator.recovery import recovered_progress
from nadg.store import StoredEvent
from tests.orchestrator.cut_world import NOW, PLAN_EVENTS, hashed, lost, outcome, pieces_of
from tests.store.model_run import ModelRun

WORK = PythonWork(kind="python", code="v0")


def subtask(subtask_id: str, shards: int = 1, *, needs: tuple[str, ...] = (), code: str = "v0") -> Subtask:
    foreach = Foreach(items=list(range(shards)), shard_size=1) if shards > 1 else None
    return Subtask(id=subtask_id, work=PythonWork(kind="python", code=code), foreach=foreach, needs=needs)


class Run:
    """A run with its record, told what happens."""

    def __init__(self, *subtasks: Subtask, options: RunOptions | None = None, planning: bool = False) -> None:
        plan = Plan(subtasks=subtasks)
        options = options or RunOptions()
        new = NewRun(id="r", command="", planner="", plan=plan, options=options, planning=planning)
        self.store = ModelRun(new, NOW)
        self.store.take("m", NOW)
        self.run = create_progress("r", plan, options, {}, planning=planning)

    def tell(self, *events: ev.Event) -> None:
        for event in events:
            self.store.commit(decide(self.run, event).changes, NOW)

    def begin(self, *subtask_ids: str) -> None:
        """Started, and so many subtasks prepared."""
        self.tell(ev.RunStarted())
        for one in subtask_ids:
            self.tell(ev.ShardsPrepared(subtask_id=one, pieces=pieces_of(self.run.subtasks[one].spec)))

    def record(self, **changes: object) -> RunRecord:
        return msgspec.structs.replace(self.store.record(NOW), **changes)

    def plan_events(self) -> list[StoredEvent]:
        return [event for event in self.store.events if isinstance(event.change, PLAN_EVENTS)]

    def recovered(self, **changes: object) -> RunProgress:
        return recovered_progress(self.record(**changes), self.plan_events(), {})

    def asked(self, **changes: object) -> Sequence[cmd.Command]:
        """The commands of the next owner's first decision."""
        return decide(self.recovered(**changes), ev.RunResumed()).commands


def started(attempt: str, worker: str = "w") -> ev.AttemptStarted:
    return ev.AttemptStarted(attempt_id=attempt, worker=worker, at=NOW)


def finished(attempt: str) -> ev.AttemptFinished:
    return ev.AttemptFinished(attempt_id=attempt, outcome=outcome("succeeded", hashed("x")))


def adopt(attempt: str, index: int = 0, worker: str = "") -> cmd.AdoptAttempt:
    return cmd.AdoptAttempt(attempt_id=attempt, subtask_id="a", shard_index=index, worker=worker)


def test_a_run_that_was_planned_only_is_started() -> None:
    one = Run(subtask("a"))
    found = one.recovered()
    made = decide(found, ev.RunResumed())
    assert found.state is RunState.RUNNING
    assert made.changes[0] == ch.RunChanged(state=RunState.RUNNING)
    assert made.commands == [cmd.PrepareShards(subtask_id="a")]


def test_shards_and_results_that_were_awaited_are_asked_for_again_once() -> None:
    one = Run(subtask("a", 2), subtask("b"))
    one.begin("a")
    one.tell(finished("r/a/0/1"), finished("r/a/1/1"))
    assert one.asked() == [cmd.GatherResult(subtask_id="a"), cmd.PrepareShards(subtask_id="b")]


def test_what_is_in_flight_is_taken_over_and_its_worker_named_where_it_began() -> None:
    one = Run(subtask("a", 3))
    one.begin("a")
    one.tell(started("r/a/0/1", "w7"), finished("r/a/2/1"))
    assert one.asked() == [adopt("r/a/0/1", 0, "w7"), adopt("r/a/1/1", 1)]
    assert one.recovered().started == {"r/a/0/1": "w7"}


def test_a_shard_that_was_hedged_has_two_attempts_in_flight() -> None:
    one = Run(subtask("a"))
    one.begin("a")
    one.tell(started("r/a/0/1"))
    hedge = ch.AttemptAdded(attempt_id="r/a/0/2", subtask_id="a", index=0, number=2, hedge=True)
    one.store.commit([hedge], NOW)
    assert one.asked() == [adopt("r/a/0/1", 0, "w"), adopt("r/a/0/2")]
    assert one.recovered().subtasks["a"].shards[0].tries == 2


def test_the_other_attempt_of_a_shard_that_has_ended_is_called_off() -> None:
    one = Run(subtask("a", 2))
    one.begin("a")
    one.tell(started("r/a/0/1"))
    hedge = ch.AttemptAdded(attempt_id="r/a/0/2", subtask_id="a", index=0, number=2, hedge=True)
    one.store.commit([hedge], NOW)
    one.tell(finished("r/a/0/1"))
    assert one.asked() == [adopt("r/a/0/2"), cmd.CancelAttempt(attempt_id="r/a/0/2"), adopt("r/a/1/1", 1)]


def test_shards_that_waited_are_dispatched_in_order() -> None:
    one = Run(subtask("a", 3))
    one.run.max_in_flight = 1
    one.begin("a")
    lost_first: list[ev.Event] = [started("r/a/0/1", "w3"), lost("r/a/0/1", "gone")]
    changes = [change for event in lost_first for change in decide(one.run, event).changes]
    one.store.commit(changes[:-2], NOW)  # without the next attempt of it
    found = one.recovered()
    assert list(found.subtasks["a"].queued) == [0, 1, 2]
    assert (found.subtasks["a"].shards[0].losses, found.retries) == (1, 1)
    sent = [command for command in decide(found, ev.RunResumed()).commands if isinstance(command, cmd.Dispatch)]
    assert [command.attempt_id for command in sent] == ["r/a/0/2", "r/a/1/1", "r/a/2/1"]


def test_code_that_was_being_mended_is_given_to_a_model_again() -> None:
    one = Run(subtask("a", 2), options=RunOptions(max_repairs=1))
    one.begin("a")
    raised = outcome("failed", reason="item 1: KeyError: 'x'")
    one.tell(ev.AttemptFinished(attempt_id="r/a/1/1", outcome=raised))
    mend = cmd.MendCode(subtask_id="a", code="v0", reason="item 1: KeyError: 'x'", detail="Traceback")
    assert one.asked() == [mend, adopt("r/a/0/1")]
    one.tell(ev.CodeMended(subtask_id="a", of_code="v0", code="v1"))
    found = one.recovered()
    assert (found.subtasks["a"].code, found.subtasks["a"].mending) == ("v1", False)
    assert found.subtasks["a"].failures == {"KeyError: 'x'"}


def test_what_raises_after_a_mending_that_its_owner_did_not_see_runs_again_with_the_present_code() -> None:
    one = Run(subtask("a", 2), options=RunOptions(max_repairs=1))
    one.begin("a")
    raised = outcome("failed", reason="KeyError: 'x'")
    one.tell(ev.AttemptFinished(attempt_id="r/a/1/1", outcome=raised))
    one.tell(ev.CodeMended(subtask_id="a", of_code="v0", code="v1"))
    found = one.recovered()
    made = decide(found, ev.AttemptFinished(attempt_id="r/a/0/1", outcome=raised))
    assert [type(command) for command in made.commands] == [cmd.Dispatch]


def test_what_runs_for_an_outdated_definition_is_called_off() -> None:
    one = Run(subtask("a"), planning=True)
    one.begin("a")
    one.tell(ev.PlanFinished(plan=Plan(subtasks=(subtask("a", code="v1"),))))
    assert one.asked() == [
        cmd.PrepareShards(subtask_id="a", definition=1),
        adopt("r/a/0/1"),
        cmd.CancelAttempt(attempt_id="r/a/0/1"),
    ]
    found = one.recovered()
    decide(found, ev.RunResumed())
    decide(found, lost("r/a/0/1", "cancelled"))
    assert found.subtasks["a"].shards[0].state is ShardState.CANCELLED


def test_the_plan_of_a_resumed_run_may_still_grow() -> None:
    one = Run(subtask("a"), planning=True)
    one.begin("a")
    one.tell(ev.SubtasksPlanned(subtasks=(subtask("b", needs=("a",)),)))
    found = one.recovered()
    assert found.planning
    decide(found, ev.RunResumed())
    decide(found, ev.PlanFinished(plan=Plan(subtasks=(subtask("a"), subtask("b", needs=("a",))), answer="b")))
    assert (found.planning, found.plan.answer_id, found.subtasks["b"].state) == (False, "b", SubtaskState.WAITING)


def test_a_failing_run_goes_on_to_fail_for_the_same_reason() -> None:
    one = Run(subtask("a"), subtask("b"))
    one.begin("a", "b")
    one.tell(ev.AttemptFinished(attempt_id="r/b/0/1", outcome=outcome("failed", reason="ValueError")))
    found = one.recovered()
    assert (found.stopping, found.stop_reason) == (RunState.FAILED, "b failed: ValueError")
    made = decide(found, ev.RunResumed())
    assert made.commands == [adopt("r/a/0/1"), cmd.CancelAttempt(attempt_id="r/a/0/1")]
    decide(found, lost("r/a/0/1", "cancelled"))
    assert found.state is RunState.FAILED


def test_a_run_that_was_asked_to_end_is_cancelled_and_one_out_of_time_has_failed() -> None:
    one = Run(subtask("a"), planning=True)
    one.begin("a")
    one.tell(ev.CancelRequested(reason="why"))
    cancelled, failed = one.recovered(cancel_requested=True), one.recovered()
    assert (cancelled.stopping, cancelled.stop_reason) == (RunState.CANCELLED, "why")
    assert (failed.stopping, failed.stop_reason) == (RunState.FAILED, "why")
    assert not cancelled.planning


def test_a_request_to_end_that_nobody_heard_yet_stops_nothing_by_itself() -> None:
    one = Run(subtask("a"))
    one.begin("a")
    assert one.recovered(cancel_requested=True).stopping is None


def test_an_answer_that_was_being_composed_is_composed_again() -> None:
    one = Run(subtask("a"), options=RunOptions(compose_answer=True))
    one.begin("a")
    one.tell(finished("r/a/0/1"), ev.ResultGathered(subtask_id="a", result=hashed("x")))
    assert one.asked() == [cmd.ComposeAnswer()]
