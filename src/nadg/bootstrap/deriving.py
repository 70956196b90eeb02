"""From a run that is over to one that begins with what it did: resumed, or forked from a subtask."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from nadg.bootstrap.asked import HOW_TO_CONFIGURE, ModelWishes
from nadg.bootstrap.review import has_prompts
from nadg.domain.blob import Blobs
from nadg.domain.errors import UserError
from nadg.domain.model_calls import Budget
from nadg.domain.model_names import NO_MODEL
from nadg.domain.plan import Plan
from nadg.domain.run import NewRun, RunOptions, RunRecord
from nadg.domain.states import is_final
from nadg.orchestrator.derive import Kept, first_shards, forked, resumed, whole_plan, with_descendants
from nadg.store.api import StoredEvent


class DerivationAsked(msgspec.Struct, frozen=True, kw_only=True):
    """What is wanted of a run that keeps what another one did."""

    from_subtask: str = ""
    """A fork: this subtask and what rests on it is done again; empty: the other run is resumed."""
    plan: Plan | None = None
    """Of a fork; None: the other run's."""
    planner: str = ""
    """Who made that plan; empty: who made the other run's."""
    options: RunOptions = RunOptions()
    """What is asked beside the other run's options: a time limit, to go on after failures, no hedging, retries."""


class DerivedRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run about to be stored, and what it begins with."""

    new: NewRun
    kept: Kept


async def derive_run(
    parent: RunRecord,
    asked: DerivationAsked,
    *,
    plan_events: Sequence[StoredEvent],
    blobs: Blobs,
    wishes: ModelWishes,
    has_model: bool,
    run_id: str,
) -> DerivedRun:
    """Raises UserError where it cannot be done, or nothing is left to do."""
    return await asyncio.to_thread(_derived, parent, asked, plan_events, blobs, wishes, has_model, run_id)


def _derived(
    parent: RunRecord,
    asked: DerivationAsked,
    plan_events: Sequence[StoredEvent],
    blobs: Blobs,
    wishes: ModelWishes,
    has_model: bool,
    run_id: str,
) -> DerivedRun:
    """Looks at the disk: which results are here still."""
    parent = msgspec.structs.replace(parent, plan=whole_plan(parent))
    first = first_shards([event.change for event in plan_events])
    planning = parent.planning and not asked.from_subtask
    options = options_of_derived(parent.options, asked.options, wishes)
    if asked.from_subtask:
        plan = forked_plan(parent, asked.plan)
        kept = forked(parent, plan, asked.from_subtask, first, run_id, blobs.has)
        anew = tuple(sorted(with_descendants(plan, {asked.from_subtask})))
        options = msgspec.structs.replace(options, anew=anew, forked_from=asked.from_subtask)
    else:
        plan = parent.plan
        kept = resumed(parent, first, run_id, blobs.has)
    _require_inputs(parent, blobs)
    _require_model(parent.id, plan, options, has_model)
    new = NewRun(
        id=run_id,
        command=parent.command,
        planner=asked.planner or parent.planner,
        plan=plan,
        inputs=parent.inputs,
        options=options,
        planning=planning,
        parent=parent.id,
    )
    return DerivedRun(new=new, kept=kept)


def forked_plan(parent: RunRecord, plan: Plan | None) -> Plan:
    """The plan of a fork. Raises UserError where the parent goes on still, or has no whole plan to fork."""
    if not is_final(parent.state):
        raise UserError(
            f"run {parent.id} has not ended; watch it (`nadg runs attach {parent.id}`), or end it "
            f"(`nadg runs cancel {parent.id}`), and fork it then"
        )
    if plan is None and parent.planning:
        raise UserError(
            f"the plan of run {parent.id} was never whole; resume it, which plans the rest "
            f"(`nadg runs resume {parent.id}`), or give a plan with --plan"
        )
    return plan or parent.plan


def options_of_derived(parent: RunOptions, asked: RunOptions, wishes: ModelWishes) -> RunOptions:
    """Those of the parent, but for what is asked otherwise. Its budget and its time limit count anew."""
    budget = Budget(
        usd=parent.budget.usd if wishes.budget.usd is None else wishes.budget.usd,
        tokens=parent.budget.tokens if wishes.budget.tokens is None else wishes.budget.tokens,
    )
    model = wishes.model or parent.model
    asks_models = model != NO_MODEL
    repairs = parent.max_repairs if wishes.repairs is None else wishes.repairs
    seconds = parent.timeout_seconds if asked.timeout_seconds is None else asked.timeout_seconds
    return msgspec.structs.replace(
        parent,
        timeout_seconds=seconds,
        continue_on_failure=parent.continue_on_failure or asked.continue_on_failure,
        hedge=parent.hedge and asked.hedge,
        max_retries=parent.max_retries if asked.max_retries is None else asked.max_retries,
        model=model,
        budget=budget,
        use_cache=parent.use_cache and wishes.use_cache,
        max_repairs=repairs if asks_models else 0,
        compose_answer=parent.compose_answer and asks_models,
        forked_from="",
    )


def _require_inputs(parent: RunRecord, blobs: Blobs) -> None:
    gone = [file.name for file in parent.inputs if not blobs.has(file.blob.sha256)]
    if gone:
        raise UserError(
            f"the input {gone[0]} of run {parent.id} is not here any more; start anew: `nadg run` with that file"
        )


def _require_model(run_id: str, plan: Plan, options: RunOptions, has_model: bool) -> None:
    if has_model:
        return
    if has_prompts(plan):
        none = f"none is configured; {HOW_TO_CONFIGURE}"
        if options.model == NO_MODEL:
            none = "--model none wants none; name one with --model"
        raise UserError(f"run {run_id} has work for a language model, and {none}")
    if options.max_repairs or options.compose_answer:
        raise UserError(
            f"run {run_id} asks a language model to mend code or to write the answer, and none is configured; "
            f"{HOW_TO_CONFIGURE}, or do without: --model none"
        )
