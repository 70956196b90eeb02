"""Changes of every kind, legal and not, for tests that draw them."""

from __future__ import annotations

import datetime

from hypothesis import strategies as st

from nadg.domain.assignment import Files, Items, Merge, Part, Piece, Rows, Whole
from nadg.domain.blob import BlobRef, FileRef, Value
from nadg.domain.changes import (
    AttemptAdded,
    AttemptChanged,
    Change,
    CodeChanged,
    PlannedSubtask,
    ShardChanged,
    ShardsAdded,
    SubtaskChanged,
    SubtaskRedefined,
    SubtasksAdded,
)
from nadg.domain.outcome import Outcome, Receipt
from nadg.domain.plan import PromptWork, PythonWork, Subtask
from nadg.domain.states import (
    AttemptState,
    ShardState,
    SubtaskState,
)
from nadg.domain.tier import Tier

SUBTASKS = ("a", "b")
"""What the plan begins with."""

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
_times = st.datetimes(
    datetime.datetime(2000, 1, 1),
    datetime.datetime(2100, 1, 1),
    timezones=st.sampled_from([datetime.UTC, datetime.timezone(datetime.timedelta(hours=-5))]),
)
_blobs = st.builds(BlobRef, sha256=st.just("0f" * 32), size=st.integers(0, 1 << 50))
_files = st.builds(FileRef, name=texts, blob=_blobs)
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
    worker=texts,
    sandbox_tier=st.sampled_from(Tier),
    code_sha256=texts,
    input_sha256s=st.dictionaries(texts, texts, max_size=2),
    started_at=_times,
    finished_at=_times,
    exit_code=st.none() | st.integers(0, 255),
    cpu_seconds=st.floats(0, 1e9),
)
_outcomes = st.builds(
    Outcome,
    kind=st.sampled_from(["succeeded", "failed", "crashed"]),
    receipt=_receipts,
    reason=texts,
    result=st.none() | _values,
    artifacts=st.tuples(_files),
    notes=st.tuples(texts),
)
subtask_ids = st.sampled_from([*SUBTASKS, "c", "d"])
_codes = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
_works = st.builds(PythonWork, kind=st.just("python"), code=_codes) | st.builds(
    PromptWork,
    kind=st.just("prompt"),
    prompt=_codes,
    output_schema=st.none()
    | st.dictionaries(texts, st.floats(allow_nan=False, allow_infinity=False) | st.integers() | texts, max_size=2),
)


def _planned(subtask: Subtask) -> PlannedSubtask:
    return PlannedSubtask(id=subtask.id, title=subtask.title, document=subtask.model_dump(mode="json"))


_planned_subtasks = st.builds(Subtask, id=subtask_ids, title=texts, work=_works).map(_planned)
plan_changes: st.SearchStrategy[Change] = st.one_of(
    st.builds(SubtasksAdded, subtasks=st.lists(_planned_subtasks, max_size=2).map(tuple)),
    st.builds(SubtaskRedefined, subtask=_planned_subtasks),
    st.builds(CodeChanged, subtask_id=subtask_ids, code=_codes, number=st.integers(1, 3), reason=texts),
)
indexes = st.integers(0, 2)
_attempt_ids = st.sampled_from(["1", "2", "3"])
changes: st.SearchStrategy[Change] = st.one_of(
    plan_changes,
    st.builds(SubtaskChanged, subtask_id=subtask_ids, state=st.sampled_from(SubtaskState), reason=texts),
    st.builds(
        SubtaskChanged,
        subtask_id=subtask_ids,
        state=st.just(SubtaskState.SUCCEEDED),
        result=_values,
        artifacts=st.tuples(_files),
    ),
    st.builds(ShardsAdded, subtask_id=subtask_ids, first=indexes, pieces=st.lists(_pieces, max_size=2).map(tuple)),
    st.builds(
        ShardChanged, subtask_id=subtask_ids, index=indexes, state=st.sampled_from(ShardState), reason=texts
    ),
    st.builds(
        AttemptAdded, attempt_id=_attempt_ids, subtask_id=subtask_ids, index=indexes, number=st.integers(1, 3)
    ),
    st.builds(
        AttemptChanged,
        attempt_id=_attempt_ids,
        state=st.sampled_from(AttemptState),
        worker=st.sampled_from(["", "w"]),
        at=st.none() | _times,
        reason=texts,
        outcome=st.none() | _outcomes,
    ),
)
