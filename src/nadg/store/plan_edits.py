"""Changes to a stored plan: its JSON is read, changed and written once per run and group, whatever their number.

Subtasks stay as they were encoded: only what changes is decoded, so a plan of a thousand can grow one by one.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, bindparam, select, update

from nadg.domain.changes import CodeChanged, PlannedSubtask, PlanSettled, SubtaskRedefined, SubtasksAdded
from nadg.domain.errors import IllegalTransition, LeaseLost
from nadg.domain.plan import MAX_SUBTASKS, Plan, PythonWork, Subtask
from nadg.domain.run import Lease
from nadg.domain.states import RunState, SubtaskState
from nadg.store import dialect
from nadg.store.codec import encode
from nadg.store.guards import Row
from nadg.store.tables import runs, subtasks

_READ = select(runs.c.plan, runs.c.planner, runs.c.planning, runs.c.state).where(runs.c.id == bindparam("b_run"))
_WRITE = (
    update(runs)
    .where(
        runs.c.id == bindparam("b_run"),
        runs.c.lease_owner == bindparam("b_owner"),
        runs.c.lease_term == bindparam("b_term"),
    )
    .values(plan=bindparam("b_plan"), planner=bindparam("b_planner"), planning=bindparam("b_planning"))
)
_DROP = (
    update(subtasks)
    .where(subtasks.c.run_id == bindparam("b_run"), subtasks.c.id == bindparam("b_subtask"))
    .values(reason=bindparam("b_reason"))
)
"""A note on what the finished plan does without, whatever its state."""


class PlanDocument(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A stored plan whose subtasks are left encoded. The fields are `Plan`'s, in its order."""

    goal: str
    subtasks: list[msgspec.Raw]
    answer: str | None


class _Named(msgspec.Struct):
    id: str


_decode_plan = msgspec.json.Decoder(PlanDocument).decode
_decode_name = msgspec.json.Decoder(_Named).decode
_decode_parts = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_text = msgspec.json.Decoder(str).decode


class _Edit(msgspec.Struct, frozen=True):
    lease: Lease


class RunMoved(_Edit, frozen=True):
    """No edit, but what comes after it meets the run in this state."""

    state: RunState


class Addition(_Edit, frozen=True):
    """Subtasks as they will be stored: (id, title, JSON)."""

    subtasks: Sequence[tuple[str, str, msgspec.Raw]]


class Redefinition(_Edit, frozen=True):
    subtask_id: str
    document: msgspec.Raw


class Settling(_Edit, frozen=True):
    goal: str
    answer: str
    planner: str
    dropped: Sequence[str]
    drop_reason: str


class Mending(_Edit, frozen=True):
    subtask_id: str
    code: str


PlanEdit = RunMoved | Addition | Redefinition | Settling | Mending


def addition(lease: Lease, change: SubtasksAdded) -> Addition:
    """Raises ValueError on a document that is no subtask's."""
    return Addition(lease, [(one.id, one.title or one.id, _document(one)) for one in change.subtasks])


def redefinition(lease: Lease, change: SubtaskRedefined) -> Redefinition:
    """Raises ValueError on a document that is no subtask's."""
    return Redefinition(lease, change.subtask.id, _document(change.subtask))


def settling(lease: Lease, change: PlanSettled) -> Settling:
    """Raises ValueError on a goal or an id that no plan may have."""
    anything = Subtask(id=change.answer, work=PythonWork(kind="python", code="pass"))
    Plan(goal=change.goal, subtasks=(anything,), answer=change.answer)
    return Settling(lease, change.goal, change.answer, change.planner, change.dropped, change.drop_reason)


def mending(lease: Lease, change: CodeChanged) -> Mending:
    """Raises ValueError on code that no subtask may have."""
    return Mending(lease, change.subtask_id, PythonWork(kind="python", code=change.code).code)


def _document(planned: PlannedSubtask) -> msgspec.Raw:
    subtask = Subtask.model_validate(planned.document)
    if subtask.id != planned.id:
        raise ValueError(f"the document of subtask {planned.id} is that of {subtask.id}")
    return msgspec.Raw(subtask.model_dump_json().encode())


def edit_plans(connection: Connection, edits: Sequence[PlanEdit]) -> list[Row]:
    """Carry the edits out in order; gives the rows of the subtasks that are new. Raises IllegalTransition."""
    leases = {edit.lease.run_id: edit.lease for edit in edits if not isinstance(edit, RunMoved)}
    plans = {run_id: _StoredPlan(connection, lease) for run_id, lease in leases.items()}
    for edit in edits:
        plan = plans.get(edit.lease.run_id)
        if plan is not None:
            plan.apply(edit)
    written = [plan.row() for plan in plans.values()]
    if dialect.execute_many(connection, _WRITE, written) != len(written):
        raise LeaseLost("a run changed hands while its plan was written")
    dialect.execute_many(connection, _DROP, [row for plan in plans.values() for row in plan.dropped_subtasks])
    return [row for plan in plans.values() for row in plan.new_subtasks]


class _StoredPlan:
    """One run's plan in the middle of a group."""

    def __init__(self, connection: Connection, lease: Lease) -> None:
        row = connection.execute(_READ, {"b_run": lease.run_id}).one()
        self._lease = lease
        self._state, self._planning = RunState(row.state), bool(row.planning)
        self._plan, self._planner = _decode_plan(row.plan), row.planner
        self._places: dict[str, int] = {}
        self.new_subtasks: list[Row] = []
        self.dropped_subtasks: list[Row] = []

    def row(self) -> Row:
        lease = self._lease
        return {
            "b_run": lease.run_id,
            "b_owner": lease.owner,
            "b_term": lease.term,
            "b_plan": encode(self._plan),
            "b_planner": self._planner,
            "b_planning": self._planning,
        }

    def apply(self, edit: PlanEdit) -> None:
        match edit:
            case RunMoved():
                self._state = edit.state
            case Addition():
                self._add(edit)
            case Redefinition():
                self._redefine(edit)
            case Settling():
                self._require_planning("settled")
                self._place(edit.answer)
                self._plan.goal, self._plan.answer = edit.goal, edit.answer
                self._planner = edit.planner or self._planner
                self.dropped_subtasks += [
                    {"b_run": self._lease.run_id, "b_subtask": self._checked(one), "b_reason": edit.drop_reason}
                    for one in edit.dropped
                ]
                self._planning = False
            case Mending():
                self._mend(edit)

    def _add(self, edit: Addition) -> None:
        self._require_planning("added to")
        if len(self._plan.subtasks) + len(edit.subtasks) > MAX_SUBTASKS:
            raise self._refused(f"a plan has at most {MAX_SUBTASKS} subtasks")
        for subtask_id, title, document in edit.subtasks:
            self.new_subtasks.append(
                {
                    "run_id": self._lease.run_id,
                    "id": subtask_id,
                    "position": len(self._plan.subtasks),
                    "title": title,
                    "state": str(SubtaskState.WAITING),
                }
            )
            self._plan.subtasks.append(document)

    def _redefine(self, edit: Redefinition) -> None:
        self._require_planning("redefined")
        if self._state is not RunState.RUNNING:
            raise self._refused(f"{edit.subtask_id} cannot be redefined while the run is {self._state}")
        self._plan.subtasks[self._place(edit.subtask_id)] = edit.document

    def _mend(self, edit: Mending) -> None:
        place = self._place(edit.subtask_id)
        document = _decode_parts(self._plan.subtasks[place])
        work = _decode_parts(document["work"])
        if _decode_text(work["kind"]) != "python":
            raise self._refused(f"{edit.subtask_id} has no code to mend")
        document["work"] = msgspec.Raw(encode(work | {"code": msgspec.Raw(encode(edit.code))}))
        self._plan.subtasks[place] = msgspec.Raw(encode(document))

    def _checked(self, subtask_id: str) -> str:
        self._place(subtask_id)
        return subtask_id

    def _place(self, subtask_id: str) -> int:
        """Where a subtask stands in the plan."""
        if len(self._places) != len(self._plan.subtasks):
            self._places = {_decode_name(one).id: place for place, one in enumerate(self._plan.subtasks)}
        if subtask_id not in self._places:
            raise self._refused(f"{subtask_id} is absent from its plan")
        return self._places[subtask_id]

    def _require_planning(self, done: str) -> None:
        if not self._planning:
            raise self._refused(f"its plan is settled, and cannot be {done}")

    def _refused(self, why: str) -> IllegalTransition:
        return IllegalTransition(f"run {self._lease.run_id}: {why}")
