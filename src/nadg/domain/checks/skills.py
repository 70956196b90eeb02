"""Skill work: a known skill, fitting arguments, something to work on, and a foreach it can live with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from nadg.domain.checks.arguments import wrong_with
from nadg.domain.checks.bindings import Surroundings, matching_inputs
from nadg.domain.checks.draft import Draft
from nadg.domain.checks.places import listed, shown
from nadg.domain.inputs import InputFile
from nadg.domain.plan import Foreach, SkillWork
from nadg.domain.problems import Problem
from nadg.domain.rows import is_row_file
from nadg.domain.skill import Parameter, SkillSpec

_ARGS = ("work", "args")


def skill_problems(draft: Draft, skills: Mapping[str, SkillSpec], around: Surroundings) -> Iterator[Problem]:
    """Every problem with the skill work of one subtask."""
    work = draft.work
    if not isinstance(work, SkillWork):
        return
    spec = skills.get(work.skill)
    if spec is None:
        near = around.suggest.nearest(work.skill, skills)
        hint = f"did you mean {' or '.join(near)}?" if near else f"installed: {listed(skills, 40) or 'none'}"
        message = f"{shown(work.skill)} is not an installed skill; {hint}"
        yield draft.problem(("work", "skill"), message)
        return
    yield from _argument_problems(draft, work, spec, around)
    unfit = list(_foreach_problems(draft, spec))
    yield from unfit or _input_problems(draft, spec, around)


def _argument_problems(draft: Draft, work: SkillWork, spec: SkillSpec, around: Surroundings) -> Iterator[Problem]:
    names = [parameter.name for parameter in spec.parameters]
    for name in work.args:
        if spec.parameter(name) is None:
            near = around.suggest.nearest(name, names, 1)
            takes = f"it takes {listed(names, 20)}" if names else "it takes none"
            hint = f"did you mean {near[0]}?" if near else takes
            yield draft.problem((*_ARGS, name), f"{shown(name)} is no argument of {spec.name}; {hint}")
    table = _bound_table(draft, around)
    for parameter in spec.parameters:
        if parameter.name in work.args:
            for inner, message in wrong_with(parameter, work.args[parameter.name], table, around.suggest):
                yield draft.problem((*_ARGS, parameter.name, *inner), message)
        elif parameter.type in ("column", "columns"):
            if table is not None and (message := _no_column(spec, parameter, table)):
                yield draft.problem(("work",), message)
        elif parameter.required:
            path = _ARGS if work.args else ("work",)
            yield draft.problem(path, f"{spec.name} needs the argument {parameter.name} ({parameter.description})")


def _bound_table(draft: Draft, around: Surroundings) -> InputFile | None:
    """The table that columns are names in; None where its columns are not known or there is no single one."""
    if draft.foreach is not None and draft.foreach.rows_of is not None:
        names = [draft.foreach.rows_of]
    else:
        names = [name for _, name in draft.inputs if _is_table(name, around)]
    table = around.inputs.get(names[0]) if len(names) == 1 else None
    return table if table is not None and table.columns else None


def _is_table(name: str, around: Surroundings) -> bool:
    """A plain text file serves as a table of one column, a row per line."""
    given = around.inputs.get(name)
    return is_row_file(name) if given is None else given.kind in ("table", "text")


def _is_image(name: str, around: Surroundings) -> bool:
    given = around.inputs.get(name)
    return "/" in name if given is None else given.kind == "image"


def _foreach_problems(draft: Draft, spec: SkillSpec) -> Iterator[Problem]:
    foreach = draft.foreach
    if foreach is None:
        return
    source = next(
        name for name in ("items", "rows_of", "files", "results_of") if getattr(foreach, name) is not None
    )
    wanted = {"rows": "rows_of", "files": "files"}.get(spec.maps_over or "")
    if wanted is None:
        message = f"{spec.name} works on everything at once and cannot be repeated; take foreach out"
        yield draft.problem(("foreach",), message)
    elif source != wanted:
        yield draft.problem(
            ("foreach", source), f"{spec.name} is repeated over {wanted}, not {source}; use {wanted}"
        )
    elif wanted == "rows_of" and not spec.merges:
        message = f"{spec.name} has no way to merge the parts of a table; take foreach out"
        yield draft.problem(("foreach",), message)


def _input_problems(draft: Draft, spec: SkillSpec, around: Surroundings) -> Iterator[Problem]:
    """Whether there is what the skill takes: judged by names, for artifacts are not made yet."""
    message = ""
    match spec.takes:
        case "table":
            message = _wrong_tables(draft, spec, around)
        case "tables":
            count = sum(_is_table(name, around) for _, name in draft.inputs)
            message = "" if count > 1 else f"{spec.name} takes two tables or more, and the inputs name {count}"
        case "image":
            message = _wrong_image(draft, spec, around)
        case "images":
            message = _wrong_images(draft, spec, around)
        case "needs":
            message = "" if draft.needs else f"{spec.name} works on what others gave; name them in needs"
        case "nothing":
            pass
    if message:
        yield Problem(place=draft.problem(("inputs",) if draft.inputs else (), "").place, message=message)


def _wrong_tables(draft: Draft, spec: SkillSpec, around: Surroundings) -> str:
    if draft.foreach is not None and draft.foreach.rows_of is not None:
        return ""
    tables = [name for _, name in draft.inputs if _is_table(name, around)]
    if not tables:
        return f"{spec.name} takes a table, and none is among the inputs; name one in inputs"
    if len(tables) > 1:
        return f"{spec.name} takes one table, and the inputs name {len(tables)}; use a subtask for each"
    return ""


def _no_column(spec: SkillSpec, parameter: Parameter, table: InputFile) -> str:
    """A column that is left out can be chosen only where the table has one that fits."""
    must = parameter.required or parameter.default == ""
    if parameter.type != "column" or not must or parameter.column_kind not in ("text", "number"):
        return ""
    if table.columns_of(parameter.column_kind):
        return ""
    held = ", ".join(f"{column.name}: {column.kind}" for column in table.columns[:12])
    return f"{spec.name} needs a column of kind {parameter.column_kind}, and {table.name} has none ({held})"


def _wrong_image(draft: Draft, spec: SkillSpec, around: Surroundings) -> str:
    if draft.foreach is not None and draft.foreach.files is not None:
        return _not_images(draft.foreach, spec, around)
    count = sum(_is_image(name, around) for _, name in draft.inputs)
    if count == 1:
        return ""
    return f"{spec.name} takes one image at a time, and the inputs name {count}; use foreach with files"


def _not_images(foreach: Foreach, spec: SkillSpec, around: Surroundings) -> str:
    matched = matching_inputs(foreach.files or "", around.inputs)
    others = [name for name in matched if not _is_image(name, around)]
    return f"{spec.name} takes images, and {foreach.files} matches {listed(others, 3)} too" if others else ""


def _wrong_images(draft: Draft, spec: SkillSpec, around: Surroundings) -> str:
    if any(_is_image(name, around) for _, name in draft.inputs):
        return ""
    return f"{spec.name} takes images, and none is among the inputs; name them in inputs"
