"""One call of a skill: its data bound, its arguments checked, its result made plain JSON data.

This is what runs inside the sandbox; everything it is given are the variables of the code contract.
"""

from __future__ import annotations

import inspect
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from nadg.domain.errors import UserError
from nadg.skills.api import Part, Skill
from nadg.skills.arguments import checked_arguments
from nadg.skills.bind import Given, bound_data
from nadg.skills.finding import Finding
from nadg.skills.plain import Json, plain
from nadg.skills.registry import builtin_skills, load_registry

_PART_FOLDER = ".part"


def run_skill(
    name: str,
    args: Mapping[str, object],
    *,
    inputs: Mapping[str, str],
    needs: Mapping[str, object],
    needs_files: Mapping[str, str],
    missing: Mapping[str, str],
    rows: Sequence[Mapping[str, object]] | None = None,
    item: object = None,
    parts: Sequence[Mapping[str, object]] | None = None,
) -> Json:
    """Call an installed skill; files it makes come to stand in the current folder.

    With `rows` it handles one batch, with `item` one file, with `parts` it merges what batches gave. With
    none of them it handles all of its input, and a mapped skill that merges gives its merged result.
    Raises UserError, with one clear sentence, where the skill, an argument or the input does not fit.
    """
    skill = builtin_skills().get(name) or load_registry().get(name)
    values = checked_arguments(skill.spec, args)
    if parts is not None:
        return _result(skill, _merged(skill, [_part(one) for one in parts], values))
    given = Given(inputs=inputs, needs=needs, needs_files=needs_files, missing=missing, rows=rows, item=item)
    calls = bound_data(skill, given, values)
    if skill.merge is not None and rows is None and item is None:
        return _result(skill, _merged(skill, [_in_part_folder(skill, *call) for call in calls], values))
    results = [_result(skill, skill.function(*data, **arguments)) for data, arguments in calls]
    return results[0] if len(results) == 1 else results


def _merged(skill: Skill, parts: Sequence[Part], values: Mapping[str, object]) -> object:
    if skill.merge is None:
        raise UserError(f"{skill.spec.name}: cannot merge parts, because the skill has no merge function")
    try:
        wanted = list(inspect.signature(skill.merge).parameters)[1:]
        return skill.merge(parts, **{name: values[name] for name in wanted})
    finally:
        shutil.rmtree(_PART_FOLDER, ignore_errors=True)


def _in_part_folder(skill: Skill, data: Sequence[object], arguments: Mapping[str, object]) -> Part:
    """Call the skill in a folder of its own, so that its merge finds the files of a part as it always does."""
    home = Path.cwd()
    folder = home / _PART_FOLDER / str(len(list(home.glob(f"{_PART_FOLDER}/*"))))
    folder.mkdir(parents=True)
    os.chdir(folder)
    try:
        return Part(result=_result(skill, skill.function(*data, **arguments)), folder=folder)
    finally:
        os.chdir(home)


def _part(given: Mapping[str, object]) -> Part:
    return Part(result=given["result"], folder=Path(str(given["folder"])))


def _result(skill: Skill, result: object) -> Json:
    return result.document(skill.spec.name) if isinstance(result, Finding) else plain(result)
