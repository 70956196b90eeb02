"""What a plan will ask of models and workers, told before it runs.

Known are its texts and the sizes of the inputs. What subtasks will give is not, so whatever depends on it
counts as the least that it can be. Tokens are guessed from characters; repairs of code are not counted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import msgspec

from nadg.domain.checks.bindings import matching_inputs
from nadg.domain.inputs import InputFile
from nadg.domain.model_calls import Purpose
from nadg.domain.plan import Foreach, Plan, PromptWork, Subtask
from nadg.domain.shards import MIN_AUTO_ROWS, MIN_PROMPT_ROWS, automatic_shard_size

CHARACTERS_PER_TOKEN = 3.5
USUAL_OUTPUT_TOKENS = 300
"""What an answer to a prompt usually takes, where its bound is not lower."""
ANSWER_INPUT_TOKENS = 4_000
ANSWER_OUTPUT_TOKENS = 1_000
"""What composing the answer usually takes; the results that it is made of are not known."""
_FRAME_CHARACTERS = 700
"""What is put around a prompt and its data."""


class CallEstimate(msgspec.Struct, frozen=True, kw_only=True):
    """The calls of one subtask, or those for the answer."""

    subtask_id: str
    """Empty for the answer."""
    purpose: Purpose
    model: str | None
    """None: the one that the settings name for the purpose."""
    calls: int
    input_tokens: int
    output_tokens: int
    """What is usual."""
    most_output_tokens: int
    """What the calls are bounded by."""
    at_least: bool
    """Whether it hangs on results that are not known yet."""


class PlanEstimate(msgspec.Struct, frozen=True, kw_only=True):
    """Of a whole plan. `at_least`: it may be more, for some of it hangs on results that are not known yet."""

    by_subtask: tuple[CallEstimate, ...]
    shards: int
    at_least: bool

    @property
    def calls(self) -> int:
        return sum(one.calls for one in self.by_subtask)

    @property
    def input_tokens(self) -> int:
        return sum(one.input_tokens for one in self.by_subtask)

    @property
    def output_tokens(self) -> int:
        return sum(one.output_tokens for one in self.by_subtask)

    @property
    def most_output_tokens(self) -> int:
        return sum(one.most_output_tokens for one in self.by_subtask)


class _Repeats(msgspec.Struct, frozen=True, kw_only=True):
    """How often a subtask's work is done, and in how many shards."""

    times: int
    shards: int
    characters: float
    """Data of one time."""
    known: bool = True


def estimate_plan(plan: Plan, inputs: Sequence[InputFile], *, answer: bool = True) -> PlanEstimate:
    """What the plan will take. `answer` says whether a model composes the answer."""
    files = {one.name: one for one in inputs}
    repeats = {one.id: _repeats(one, files) for one in plan.subtasks}
    found = [
        _prompt_calls(one, one.work, repeats[one.id], files)
        for one in plan.subtasks
        if isinstance(one.work, PromptWork)
    ]
    if answer:
        found.append(_answer_call())
    return PlanEstimate(
        by_subtask=tuple(found),
        shards=sum(one.shards for one in repeats.values()),
        at_least=any(one.at_least for one in found) or not all(one.known for one in repeats.values()),
    )


def tokens_of(characters: float) -> int:
    """About how many tokens a text of so many characters has."""
    return math.ceil(characters / CHARACTERS_PER_TOKEN)


def _answer_call() -> CallEstimate:
    return CallEstimate(
        subtask_id="",
        purpose="answer",
        model=None,
        calls=1,
        input_tokens=ANSWER_INPUT_TOKENS,
        output_tokens=ANSWER_OUTPUT_TOKENS,
        most_output_tokens=ANSWER_OUTPUT_TOKENS,
        at_least=True,
    )


def _prompt_calls(
    subtask: Subtask, work: PromptWork, repeats: _Repeats, files: Mapping[str, InputFile]
) -> CallEstimate:
    read = sum(_readable_characters(files[name]) for name in subtask.inputs if name in files)
    per_call = len(work.prompt) + _FRAME_CHARACTERS + read + repeats.characters
    if work.output_schema is not None:
        per_call += len(msgspec.json.encode(work.output_schema))
    unknown_file = any(name not in files for name in subtask.inputs)
    return CallEstimate(
        subtask_id=subtask.id,
        purpose="prompt",
        model=work.model,
        calls=repeats.times,
        input_tokens=repeats.times * tokens_of(per_call),
        output_tokens=repeats.times * min(work.max_output_tokens, USUAL_OUTPUT_TOKENS),
        most_output_tokens=repeats.times * work.max_output_tokens,
        at_least=not repeats.known or unknown_file or bool(subtask.needs),
    )


def _readable_characters(file: InputFile) -> int:
    return file.blob.size if file.kind in ("table", "text") else len(file.name)


def _repeats(subtask: Subtask, files: Mapping[str, InputFile]) -> _Repeats:
    foreach = subtask.foreach
    if foreach is None:
        return _Repeats(times=1, shards=1, characters=0)
    if foreach.items is not None:
        characters = len(msgspec.json.encode(foreach.items)) / max(1, len(foreach.items))
        return _counted(len(foreach.items), characters, foreach)
    if foreach.files is not None:
        matched = matching_inputs(foreach.files, files)
        characters = sum(_readable_characters(files[name]) for name in matched) / max(1, len(matched))
        return _counted(len(matched), characters, foreach)
    table = files.get(foreach.rows_of or "")
    if table is None or table.rows is None:
        return _Repeats(times=1, shards=1, characters=0, known=False)
    smallest = MIN_PROMPT_ROWS if isinstance(subtask.work, PromptWork) else MIN_AUTO_ROWS
    return _counted(table.rows, _row_characters(table), foreach, smallest)


def _row_characters(table: InputFile) -> float:
    """A row is sent with the names of its columns."""
    names = sum(len(column.name) + 6 for column in table.columns)
    return table.blob.size / max(1, table.rows or 0) + names


def _counted(times: int, characters: float, foreach: Foreach, smallest: int = 1) -> _Repeats:
    size = automatic_shard_size(times, smallest) if foreach.shard_size == "auto" else foreach.shard_size
    return _Repeats(times=times, shards=math.ceil(times / size), characters=characters)
