"""A new run that keeps what another one did: to resume one that ended early, or to fork one from a subtask.

What is kept is written as the changes that it took, so the new run's record and event log are whole by
themselves; each kept outcome names the attempt that it came from.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import msgspec

from nadg.domain import changes as ch
from nadg.domain.assignment import Files, Items, Merge, Piece, Rows
from nadg.domain.blob import FileRef, Value
from nadg.domain.errors import UserError
from nadg.domain.ids import attempt_id
from nadg.domain.outcome import Outcome
from nadg.domain.plan import Plan
from nadg.domain.run import AttemptRecord, RunRecord, ShardRecord, SubtaskRecord
from nadg.domain.states import AttemptState, RunState, ShardState, SubtaskState, is_final
from nadg.orchestrator.growing import DROPPED

HasBlob = Callable[[str], bool]
"""Whether the bytes of this SHA-256 are here."""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What a derived run begins with."""

    changes: tuple[ch.Change, ...]
    """To be committed before its first event."""
    subtasks: tuple[str, ...]
    """Those that are kept whole."""
    shards: int
    """Outcomes that are kept, in whole and in half-done subtasks."""


def resumed(parent: RunRecord, first_shards: Mapping[str, int], run_id: str, has: HasBlob) -> Kept:
    """Everything that succeeded is kept; what is missing or failed is for the new run `run_id` to do.

    `first_shards` tells where the shards of a subtask's last definition begin, see `first_shards`.
    Raises UserError where the run goes on still, or where nothing is left to do.
    """
    if not is_final(parent.state):
        raise UserError(f"run {parent.id} has not ended; watch it: `nadg runs attach {parent.id}`")
    if parent.state is RunState.SUCCEEDED:
        raise UserError(
            f"run {parent.id} succeeded: nothing is left to do; to do a part of it again: "
            f"`nadg runs fork {parent.id} --from SUBTASK`"
        )
    redo = with_descendants(parent.plan, _lacking(parent, has) | _done_without(parent))
    return _kept(parent, parent.plan, redo, first_shards, run_id, has)


def forked(
    parent: RunRecord,
    plan: Plan,
    from_subtask: str,
    first_shards: Mapping[str, int],
    run_id: str,
    has: HasBlob,
) -> Kept:
    """What does not rest on `from_subtask`, nor on anything that `plan` says otherwise than the parent's, is kept.

    Raises UserError where the plan has no such subtask.
    """
    ids = [one.id for one in plan.subtasks]
    if from_subtask not in ids:
        raise UserError(f"--from: the plan has no subtask {from_subtask[:60]!r}; it has {', '.join(ids[:20])}")
    before = {one.id: one for one in parent.plan.subtasks}
    changed = {one.id for one in plan.subtasks if before.get(one.id) != one}
    redo = with_descendants(plan, {from_subtask} | changed | _lacking(parent, has))
    return _kept(parent, plan, redo, first_shards, run_id, has)


def first_shards(plan_events: Sequence[ch.Change]) -> dict[str, int]:
    """Where the shards of each subtask's last definition begin; subtasks that were planned once are left out."""
    made: dict[str, int] = {}
    found: dict[str, int] = {}
    for change in plan_events:
        match change:
            case ch.ShardsAdded():
                made[change.subtask_id] = change.first + len(change.pieces)
            case ch.SubtaskRedefined():
                found[change.subtask.id] = made.get(change.subtask.id, 0)
            case _:
                pass
    return found


def whole_plan(record: RunRecord) -> Plan:
    """The plan of a run, without what was begun before it was whole and that it does without."""
    dropped = {one.id for one in record.subtasks if one.reason == DROPPED}
    left = tuple(one for one in record.plan.subtasks if one.id not in dropped)
    return record.plan.model_copy(update={"subtasks": left}) if dropped else record.plan


def _kept(
    parent: RunRecord,
    plan: Plan,
    redo: Collection[str],
    first: Mapping[str, int],
    run_id: str,
    has: HasBlob,
) -> Kept:
    records = {one.id: one for one in parent.subtasks}
    changes: list[ch.Change] = []
    whole: list[str] = []
    for spec in plan.subtasks:
        record = records.get(spec.id)
        if record is None or spec.id in redo:
            continue
        shards = record.shards[first.get(spec.id, 0) :]
        if record.state is SubtaskState.SUCCEEDED:
            whole.append(spec.id)
        changes.extend(_of_subtask(record, shards, run_id, has))
    kept = sum(isinstance(one, ch.AttemptChanged) for one in changes)
    return Kept(changes=tuple(changes), subtasks=tuple(whole), shards=kept)


def _of_subtask(
    record: SubtaskRecord, shards: Sequence[ShardRecord], run_id: str, has: HasBlob
) -> Iterator[ch.Change]:
    """The way from waiting to where its successful shards have brought it; none where it has none."""
    done = [_success(shard, has) for shard in shards]
    whole = record.state is SubtaskState.SUCCEEDED
    if not whole and (not any(done) or not _can_go_on(shards, done, has)):
        return
    if shards and isinstance(shards[-1].piece, Merge) and not all(done[:-1]):
        shards, done = shards[:-1], done[:-1]  # it comes anew once all its parts are there
    yield ch.SubtaskChanged(subtask_id=record.id, state=SubtaskState.PREPARING)
    yield ch.SubtaskChanged(subtask_id=record.id, state=SubtaskState.RUNNING)
    yield ch.ShardsAdded(subtask_id=record.id, first=0, pieces=tuple(shard.piece for shard in shards))
    for index, attempt in enumerate(done):
        if attempt is not None:
            yield from _of_shard(record.id, index, attempt, run_id)
    if whole:
        yield ch.SubtaskChanged(subtask_id=record.id, state=SubtaskState.CLOSING)
        yield ch.SubtaskChanged(
            subtask_id=record.id,
            state=SubtaskState.SUCCEEDED,
            result=record.result,
            artifacts=record.artifacts,
        )


def _of_shard(subtask_id: str, index: int, old: AttemptRecord, run_id: str) -> Iterator[ch.Change]:
    outcome = old.outcome
    assert outcome is not None
    receipt = msgspec.structs.replace(outcome.receipt, reused_from=outcome.receipt.reused_from or old.id)
    new = attempt_id(run_id, subtask_id, index, 1)
    yield ch.AttemptAdded(attempt_id=new, subtask_id=subtask_id, index=index, number=1)
    yield ch.ShardChanged(subtask_id=subtask_id, index=index, state=ShardState.RUNNING)
    yield ch.AttemptChanged(
        attempt_id=new,
        state=AttemptState.SUCCEEDED,
        worker=old.worker,
        at=old.finished_at,
        outcome=msgspec.structs.replace(outcome, receipt=receipt),
    )
    yield ch.ShardChanged(subtask_id=subtask_id, index=index, state=ShardState.SUCCEEDED)


def _can_go_on(shards: Sequence[ShardRecord], done: Sequence[AttemptRecord | None], has: HasBlob) -> bool:
    """Whether what the rest is to be made from is here; else it is cut into shards anew, from what it needs."""
    left = (shard.piece for shard, attempt in zip(shards, done, strict=True) if attempt is None)
    return all(has(sha256) for piece in left for sha256 in _of_piece(piece))


def _of_piece(piece: Piece) -> Iterator[str]:
    """A merge is left out: it comes anew, from its parts."""
    match piece:
        case Items(values=values):
            yield from _of_values(values, ())
        case Files(files=files):
            yield from _of_values(None, files)
        case Rows(file=file):
            yield from _of_values(None, (file,))
        case _:
            return


def _success(shard: ShardRecord, has: HasBlob) -> AttemptRecord | None:
    """The attempt that did it, where all that it gave is here."""
    if shard.state is not ShardState.SUCCEEDED:
        return None
    for attempt in reversed(shard.attempts):
        if attempt.state is AttemptState.SUCCEEDED and attempt.outcome is not None:
            return attempt if all(has(sha256) for sha256 in _blobs(attempt.outcome)) else None
    return None


def _lacking(parent: RunRecord, has: HasBlob) -> set[str]:
    """Subtasks that succeeded, and of whose results something is no longer here."""
    return {one.id for one in parent.subtasks if one.state is SubtaskState.SUCCEEDED and not _is_here(one, has)}


def _done_without(parent: RunRecord) -> set[str]:
    """Subtasks that succeeded without something they need, which the new run is going to do."""
    done = {one.id for one in parent.subtasks if one.state is SubtaskState.SUCCEEDED}
    return {one.id for one in parent.plan.subtasks if one.id in done and not done.issuperset(one.needs)}


def _is_here(subtask: SubtaskRecord, has: HasBlob) -> bool:
    of_shards = [
        sha256
        for shard in subtask.shards
        for attempt in shard.attempts
        if attempt.state is AttemptState.SUCCEEDED and attempt.outcome is not None
        for sha256 in _blobs(attempt.outcome)
    ]
    return all(has(sha256) for sha256 in [*of_shards, *_of_values(subtask.result, subtask.artifacts)])


def _blobs(outcome: Outcome) -> Iterator[str]:
    return _of_values(outcome.result, outcome.artifacts)


def _of_values(result: Value | None, files: Sequence[FileRef]) -> Iterator[str]:
    if result is not None and result.blob is not None:
        yield result.blob.sha256
    yield from (file.blob.sha256 for file in files)


def with_descendants(plan: Plan, redo: Collection[str]) -> set[str]:
    """These subtasks and all that rests on them."""
    found = set(redo)
    grows = True
    while grows:
        more = {one.id for one in plan.subtasks if not found.isdisjoint(one.needs)} - found
        found |= more
        grows = bool(more)
    return found
