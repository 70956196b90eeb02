"""From a document that anyone may have written to a plan that can run: all of its problems at once.

Pure and deterministic. Checks go from the outside in: plain data of a bearable size, the shape of each
subtask by itself, then everything that crosses subtasks, on whatever is readable.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from nadg.domain.checks import fields
from nadg.domain.checks.bindings import Surroundings, binding_problems
from nadg.domain.checks.code import code_problems
from nadg.domain.checks.draft import Draft, read_draft
from nadg.domain.checks.graph import graph_problems
from nadg.domain.checks.places import ROOT, Suggestions, listed, place_of, shown
from nadg.domain.checks.plain import Unbearable, leaf_problems
from nadg.domain.checks.skills import skill_problems
from nadg.domain.errors import PlanInvalid
from nadg.domain.inputs import InputFile
from nadg.domain.model_names import PROMPTS_NEED_A_MODEL
from nadg.domain.plan import MAX_SUBTASKS, Plan, PromptWork, PythonWork, Subtask
from nadg.domain.problems import Problem
from nadg.domain.skill import SkillSpec

MAX_PROBLEMS = 500
"""After this many the search ends: whoever mends these will see the next ones."""
_NO_LABELS = "prompt work is done at the master, not on a worker, so it has no labels; take them out"
_ANY_SUBTASK = Subtask(id="any", work=PythonWork(kind="python", code="pass"))


def parse_plan(
    document: object,
    *,
    skills: Mapping[str, SkillSpec],
    inputs: Sequence[InputFile],
    models: bool = False,
) -> Plan:
    """The plan that a document holds. Raises PlanInvalid with every problem found.

    `models` says whether a language model is configured: without one, prompt work is refused.
    """
    try:
        problems = leaf_problems(document)
    except Unbearable as error:
        raise PlanInvalid([error.problem]) from error
    if not isinstance(document, dict):
        message = f"{shown(document)} is no plan; give a mapping with goal, subtasks and answer"
        raise PlanInvalid([Problem(place=ROOT, message=message)])
    unfit = {problem.place for problem in problems}
    drafts: list[Draft] = []
    further = _further_problems(document, drafts, skills, inputs, models)
    problems += itertools.islice((one for one in further if one.place not in unfit), MAX_PROBLEMS)
    if problems:
        raise PlanInvalid(problems)
    subtasks = tuple(draft.whole for draft in drafts if draft.whole is not None)
    return Plan(goal=document.get("goal", ""), subtasks=subtasks, answer=document.get("answer"))


def _further_problems(
    document: dict[str, Any],
    drafts: list[Draft],
    skills: Mapping[str, SkillSpec],
    inputs: Sequence[InputFile],
    models: bool,
) -> Iterator[Problem]:
    """Everything beyond plain data, from the outside in; fills `drafts` on the way."""
    suggest = Suggestions()
    yield from _shape_problems(document, drafts, suggest)
    around = Surroundings(
        inputs={one.name: one for one in inputs},
        drafts={draft.id: draft for draft in reversed(drafts) if draft.id is not None},
        suggest=suggest,
        skills=skills,
    )
    yield from _crossing_problems(document, drafts, skills, around, models)


def _shape_problems(document: dict[str, Any], drafts: list[Draft], suggest: Suggestions) -> Iterator[Problem]:
    """Problems with the shape of the plan and of each subtask; fills `drafts` on the way."""
    yield from _head_problems(document, suggest)
    raw = document.get("subtasks")
    place = place_of(("subtasks",))
    if "subtasks" not in document:
        yield Problem(place=ROOT, message=f"subtasks is missing; give {fields.PLAN['subtasks']}")
    elif not isinstance(raw, list):
        yield Problem(place=place, message=f"{shown(raw)} does not fit; give {fields.PLAN['subtasks']}")
    elif not 1 <= len(raw) <= MAX_SUBTASKS:
        message = f"holds {len(raw):,} subtasks; give 1 to {MAX_SUBTASKS:,}, and use foreach to repeat one"
        yield Problem(place=place, message=message)
    else:
        for index, one in enumerate(raw):
            draft, problems = read_draft(index, one, suggest)
            drafts.append(draft)
            yield from problems


def _head_problems(document: dict[str, Any], suggest: Suggestions) -> Iterator[Problem]:
    """Problems with everything but the subtasks."""
    try:
        Plan.model_validate({**document, "subtasks": (_ANY_SUBTASK,)})
    except ValidationError as error:
        for one in error.errors(include_url=False):
            name = str(one["loc"][0])
            if one["type"] == "extra_forbidden":
                near = suggest.nearest(name, fields.PLAN, 1)
                hint = f"did you mean {near[0]}?" if near else f"the fields are {listed(fields.PLAN)}"
                message = f"{shown(name)} is no field of a plan; {hint}"
            else:
                message = f"{shown(document.get(name))} does not fit; give {fields.PLAN[name]}"
            yield Problem(place=place_of((name,)), message=message)


def _crossing_problems(
    document: dict[str, Any],
    drafts: Sequence[Draft],
    skills: Mapping[str, SkillSpec],
    around: Surroundings,
    models: bool,
) -> Iterator[Problem]:
    """Problems that only show when a subtask is held against the others, the inputs and the skills."""
    yield from graph_problems(drafts, around.suggest)
    for draft in drafts:
        yield from binding_problems(draft, around)
        yield from skill_problems(draft, skills, around)
        if isinstance(draft.work, PromptWork) and not models:
            yield draft.problem(("work", "kind"), PROMPTS_NEED_A_MODEL)
        if isinstance(draft.work, PromptWork) and draft.whole is not None and draft.whole.labels:
            yield draft.problem(("labels",), _NO_LABELS)
    yield from code_problems(drafts)
    answer = document.get("answer")
    if isinstance(answer, str) and drafts and answer not in around.drafts:
        hint = around.suggest.hint(answer, around.drafts)
        yield Problem(place="answer", message=f"{shown(answer)} is the id of no subtask{hint}")
