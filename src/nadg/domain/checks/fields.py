"""What each field of a plan must be, in words: the part of an error message that says what would be right."""

from __future__ import annotations

from collections.abc import Mapping

from nadg.domain.plan import MAX_CODE_BYTES, MAX_ITEMS, MAX_SUBTASKS

Fields = Mapping[str, str]

PLAN: Fields = {
    "goal": "text of at most 100,000 characters",
    "subtasks": f"a list of 1 to {MAX_SUBTASKS:,} subtasks",
    "answer": "the id of the subtask whose result is the answer",
}
SUBTASK: Fields = {
    "id": 'a name of at most 63 characters a-z, 0-9, "_" and "-" that starts with a letter',
    "title": "text of at most 500 characters",
    "work": "a mapping with kind: skill, python or prompt",
    "needs": "a list of subtask ids",
    "inputs": "a list of input names",
    "foreach": "a mapping with exactly one of items, rows_of, files and results_of",
    "limits": "a mapping of limits",
    "on_failure": "fail_run or continue",
    "labels": "a list of worker labels",
    "min_sandbox": "none, landlock or namespaces",
    "max_attempts": "a whole number from 1 to 20",
    "cache": "true or false: whether the result of equal work done before may serve",
}
WORK: Fields = {
    "kind": "skill, python or prompt",
    "skill": "the name of a skill, such as text.sentiment",
    "args": "a mapping of argument names to values",
    "code": f"Python source text of 1 to {MAX_CODE_BYTES:,} bytes",
    "prompt": f"text of 1 to {MAX_CODE_BYTES:,} characters",
    "output_schema": "a JSON Schema of the answer, as a mapping",
    "model": "a model, such as google:gemini-3.8-flash",
    "max_output_tokens": "a whole number from 16 to 65,536",
}
WORK_OF_KIND: Mapping[str, tuple[str, ...]] = {
    "skill": ("kind", "skill", "args"),
    "python": ("kind", "code"),
    "prompt": ("kind", "prompt", "output_schema", "model", "max_output_tokens"),
}
FOREACH: Fields = {
    "items": f"a list of at most {MAX_ITEMS:,} items",
    "rows_of": "the name of a table: an input, or SUBTASK/ARTIFACT",
    "files": "a pattern over the input names, such as *.png",
    "results_of": "the id of a subtask whose result is a list",
    "shard_size": "auto or a whole number from 1",
}
LIMITS: Fields = {
    "wall_seconds": "a number of seconds above 0 and at most 86,400",
    "cpu_seconds": "a number of seconds above 0 and at most 86,400",
    "memory_megabytes": "a whole number from 64 to 1,048,576",
    "output_bytes": "a whole number from 0 to 1,073,741,824",
    "result_bytes": "a whole number from 64 to 1,073,741,824",
    "artifact_bytes": "a whole number from 0 to 1,099,511,627,776",
    "artifact_count": "a whole number from 0 to 1,000,000",
    "open_files": "a whole number from 16 to 65,536",
    "threads": "a whole number from 1 to 4,096",
}
_ELEMENTS: Fields = {"needs": "the id of a subtask", "inputs": "the name of an input", "labels": "a worker label"}
_INNER: Mapping[str, Fields] = {"work": WORK, "foreach": FOREACH, "limits": LIMITS}


def fields_at(names: tuple[str, ...], work_kind: object = None) -> tuple[str, ...]:
    """The fields that a mapping may have: `()` is a subtask, `("work",)` its work."""
    if names == ("work",):
        return WORK_OF_KIND.get(work_kind if isinstance(work_kind, str) else "", tuple(WORK))
    return tuple(_INNER.get(names[0], {})) if names else tuple(SUBTASK)


def requirement(names: tuple[str, ...], in_list: bool = False) -> str:
    """What a field of a subtask must be."""
    if in_list and names[0] in _ELEMENTS:
        return f"{_ELEMENTS[names[0]]}, as text"
    if len(names) == 1:
        return SUBTASK.get(names[0], "what the schema says")
    return _INNER.get(names[0], {}).get(names[1], "what the schema says")
