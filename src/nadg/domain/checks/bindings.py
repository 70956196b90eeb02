"""What subtasks work on: the inputs they name and what they are repeated over."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Iterator, Mapping

import msgspec

from nadg.domain.checks.draft import Draft
from nadg.domain.checks.places import Path, Suggestions, listed, shown
from nadg.domain.inputs import InputFile
from nadg.domain.plan import SkillWork
from nadg.domain.problems import Problem
from nadg.domain.rows import is_row_file
from nadg.domain.skill import SkillSpec


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What the subtasks of a plan may refer to."""

    inputs: Mapping[str, InputFile]
    drafts: Mapping[str, Draft]
    suggest: Suggestions
    skills: Mapping[str, SkillSpec] = msgspec.field(default_factory=dict)


def matching_inputs(pattern: str, names: Iterable[str]) -> list[str]:
    """The names that a `files` pattern stands for: the same rule, case and all, that cuts the work."""
    return [name for name in names if fnmatch.fnmatchcase(name, pattern)]


def binding_problems(draft: Draft, around: Surroundings) -> Iterator[Problem]:
    """Every problem with the inputs and the foreach of one subtask."""
    seen: set[str] = set()
    for index, name in draft.inputs:
        if name in seen:
            yield draft.problem(("inputs", index), f"{shown(name)} is listed twice; once is enough")
        else:
            yield from _file_problems(draft, ("inputs", index), name, around)
        seen.add(name)
    yield from _foreach_problems(draft, around)


def _file_problems(draft: Draft, path: Path, name: str, around: Surroundings) -> Iterator[Problem]:
    """Whether a name is an input of the run or an artifact of a need."""
    if name in around.inputs:
        return
    subtask_id, slash, artifact = name.partition("/")
    if not slash:
        yield draft.problem(path, _unknown_input(name, around))
    elif subtask_id not in around.drafts:
        hint = around.suggest.hint(subtask_id, around.drafts)
        yield draft.problem(path, f"{shown(name)} names the subtask {shown(subtask_id)}, which is unknown{hint}")
    elif subtask_id not in draft.need_ids:
        yield draft.problem(path, f"{shown(name)} is made by {subtask_id}; add {subtask_id} to needs")
    elif any(part in ("", ".", "..") for part in artifact.split("/")):
        yield draft.problem(path, f"{shown(name)} is no artifact's name; write SUBTASK/NAME")
    else:
        made = _artifacts_of(around.drafts[subtask_id], around.skills)
        near = around.suggest.nearest(artifact, made, 1) if artifact not in made else []
        if near:
            right = shown(f"{subtask_id}/{near[0]}")
            yield draft.problem(path, f"{subtask_id} makes no {shown(artifact)}; did you mean {right}?")


def _artifacts_of(draft: Draft, skills: Mapping[str, SkillSpec]) -> tuple[str, ...]:
    """What a subtask is known to write; there may be more, and of code of one's own nothing is known."""
    spec = skills.get(draft.work.skill) if isinstance(draft.work, SkillWork) else None
    if spec is None or (draft.foreach is not None and not spec.merges):
        return ()
    return spec.produces


def _unknown_input(name: str, around: Surroundings) -> str:
    if not around.inputs:
        return f"{shown(name)} is no input, for the run has none; give the file with --input"
    near = around.suggest.nearest(name, around.inputs, 1)
    if near:
        return f"{shown(name)} is no input of the run; did you mean {shown(near[0])}?"
    if name in around.drafts:
        return f"{shown(name)} is a subtask, not a file; write {name}/ARTIFACT"
    return f"{shown(name)} is no input of the run; the inputs are {listed(around.inputs)}"


def _foreach_problems(draft: Draft, around: Surroundings) -> Iterator[Problem]:
    foreach = draft.foreach
    if foreach is None:
        return
    if foreach.rows_of is not None:
        yield from _rows_problems(draft, foreach.rows_of, around)
    elif foreach.files is not None:
        if not matching_inputs(foreach.files, around.inputs):
            given = f"the inputs are {listed(around.inputs)}" if around.inputs else "the run has no inputs"
            yield draft.problem(("foreach", "files"), f"{shown(foreach.files)} matches no input; {given}")
    elif foreach.results_of is not None:
        yield from _results_problems(draft, foreach.results_of, around)


def _rows_problems(draft: Draft, name: str, around: Surroundings) -> Iterator[Problem]:
    path = ("foreach", "rows_of")
    found = list(_file_problems(draft, path, name, around))
    yield from found
    if found:
        return
    given = around.inputs.get(name)
    if given is not None and given.kind != "table":
        yield draft.problem(path, f"{shown(name)} is no table but of kind {given.kind}; name a table")
    elif not is_row_file(name):
        yield draft.problem(path, f"{shown(name)} cannot be cut into rows; name a .csv, .tsv or .jsonl file")


def _results_problems(draft: Draft, name: str, around: Surroundings) -> Iterator[Problem]:
    path = ("foreach", "results_of")
    if name not in around.drafts:
        hint = around.suggest.hint(name, around.drafts)
        yield draft.problem(path, f"{shown(name)} is the id of no subtask{hint}")
    elif name == draft.id:
        yield draft.problem(path, f"{shown(name)} is this subtask itself; name another one")
    elif name not in draft.need_ids:
        yield draft.problem(path, f"{shown(name)} is not among the needs; add it to needs")
