"""Decisions about a plan that is still being written, and about one that turned out other than it began.

What was planned is dispatched before the plan is whole. Where the whole plan says otherwise, it counts: a
subtask that changed, and all that rests on it, is done anew; one that the plan does without is called off.
"""

from __future__ import annotations

from collections.abc import Sequence

from nadg.domain import changes as ch
from nadg.domain import commands as cmd
from nadg.domain.plan import MAX_SUBTASKS, Plan, Subtask
from nadg.domain.states import RunState, ShardState, SubtaskState, is_final
from nadg.orchestrator.moves import Decision, end_shard, end_subtask, stop_run
from nadg.orchestrator.progress import RunProgress, SubtaskProgress, create_subtask

DROPPED = "the finished plan does without it"
ANEW = "the subtask was planned anew"


def add_subtasks(run: RunProgress, subtasks: Sequence[Subtask], made: Decision) -> None:
    """New subtasks wait beside the others; those that are known already are passed over."""
    if not run.planning:
        return
    new = [one for one in subtasks if one.id not in run.subtasks]
    if not new or len(run.subtasks) + len(new) > MAX_SUBTASKS:
        return
    run.subtasks |= {one.id: create_subtask(one, run.skills) for one in new}
    run.plan = run.plan.model_copy(update={"subtasks": (*run.plan.subtasks, *new)})
    made.changes.append(ch.SubtasksAdded(subtasks=tuple(planned(one) for one in new)))


def settle_plan(run: RunProgress, plan: Plan, planner: str, made: Decision) -> None:
    """The whole plan takes the place of what was planned so far."""
    if not run.planning:
        return
    before = dict(run.subtasks)
    final = {one.id: one for one in plan.subtasks}
    dropped = tuple(one.spec for one in before.values() if one.spec.id not in final)
    if len(final) + len(dropped) > MAX_SUBTASKS:
        many = f"the finished plan has {len(final):,} subtasks and does without {len(dropped):,} that were begun"
        stop_run(run, RunState.FAILED, f"{many}; a run has at most {MAX_SUBTASKS:,}", made)
        return
    outdated = _outdated(before, plan)
    for subtask in before.values():
        if subtask.spec.id in outdated:
            _define_anew(run, subtask, final[subtask.spec.id], made)
        elif subtask.spec.id not in final and not is_final(subtask.state):
            end_subtask(run, subtask, SubtaskState.CANCELLED, DROPPED, made)
    add_subtasks(run, plan.subtasks, made)
    run.plan = Plan(goal=plan.goal, subtasks=(*plan.subtasks, *dropped), answer=plan.answer_id)
    run.dropped = frozenset(one.id for one in dropped)
    run.planning = False
    made.changes.append(
        ch.PlanSettled(
            goal=plan.goal,
            answer=plan.answer_id,
            planner=planner,
            dropped=tuple(one.id for one in dropped),
            drop_reason=DROPPED if dropped else "",
        )
    )


def planned(subtask: Subtask) -> ch.PlannedSubtask:
    """A subtask as the record of changes keeps it."""
    return ch.PlannedSubtask(id=subtask.id, title=subtask.name, document=subtask.model_dump(mode="json"))


def _outdated(before: dict[str, SubtaskProgress], plan: Plan) -> set[str]:
    """Subtasks of both plans that say something else now, or that began on the result of one that does."""
    found = {one.id for one in plan.subtasks if one.id in before and one != before[one.id].spec}
    gone = before.keys() - {one.id for one in plan.subtasks}
    grows = True
    while grows:
        rests_on = {
            one.id
            for one in plan.subtasks
            if one.id in before
            and before[one.id].state is not SubtaskState.WAITING
            and not found.union(gone).isdisjoint(one.needs)
        }
        grows = not rests_on <= found
        found |= rests_on
    return found


def _define_anew(run: RunProgress, old: SubtaskProgress, spec: Subtask, made: Decision) -> None:
    """It waits again; whatever still runs for its old definition is called off."""
    while old.queued:
        end_shard(old, old.queued.popleft(), ShardState.CANCELLED, ANEW, made)
    made.commands.extend(
        cmd.CancelAttempt(attempt_id=attempt)
        for attempt, (subtask_id, _) in run.in_flight.items()
        if subtask_id == spec.id
    )
    new = create_subtask(spec, run.skills)
    new.shards, new.first_shard = old.shards, len(old.shards)
    new.definition = old.definition + 1
    run.subtasks[spec.id] = new
    made.changes.append(ch.SubtaskRedefined(subtask=planned(spec)))
