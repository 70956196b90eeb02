"""What a plan's format does not tell of prompt work: whether schema, model and length of a prompt can be asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from nadg.domain.checks.places import shown
from nadg.domain.plan import Plan, PromptWork
from nadg.domain.problems import Problem
from nadg.models.json_schema import flaw_of_schema
from nadg.planning.prompt_sizes import FlawOfLength

FlawOfModel = Callable[[str], str]
"""Why a model cannot be asked and what to do about it; empty where it can."""


def prompt_problems(plan: Plan, flaw_of_model: FlawOfModel, flaw_of_length: FlawOfLength) -> list[Problem]:
    """Every problem with the prompt work of a plan that is sound otherwise."""
    problems: list[Problem] = []
    for index, one in enumerate(plan.subtasks):
        if not isinstance(one.work, PromptWork):
            continue
        for field, message in flaws_of_prompt(one.work, flaw_of_model):
            problems.append(Problem(place=f"subtasks[{index}].work.{field}", message=message))
        if too_long := flaw_of_length(one):
            problems.append(Problem(place=f"subtasks[{index}].inputs", message=too_long))
    return problems


def flaws_of_prompt(work: PromptWork, flaw_of_model: FlawOfModel) -> Iterator[tuple[str, str]]:
    """The field and what is wrong with it."""
    schema: dict[str, Any] | None = work.output_schema
    if schema is not None and (flaw := flaw_of_schema(schema)):
        yield "output_schema", flaw
    if work.model is not None and (flaw := flaw_of_model(work.model)):
        yield "model", flaw


def only_configured(serves: Callable[[str], bool]) -> FlawOfModel:
    """A plan that a model wrote may ask only models that the user has configured."""
    return lambda model: (
        "" if serves(model) else f"{shown(model)} is not among the configured models; take the field out"
    )
