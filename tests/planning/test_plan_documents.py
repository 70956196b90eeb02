"""What is published about plans is true: the page, the example and the schema."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from nadg.domain.blob import BlobRef
from nadg.domain.inputs import InputFile
from nadg.domain.limits import Limits
from nadg.domain.plan import Foreach, Plan, PromptWork, PythonWork, SkillWork, Subtask
from nadg.domain.validate import parse_plan
from nadg.planning.file import dump_plan, load_plan, parse_text
from nadg.planning.inspect import inspect_input
from nadg.skills.registry import builtin_skills

ROOT = Path(__file__).parents[2]
BLOB = BlobRef(sha256="0" * 64, size=1)
PAGE = (ROOT / "docs" / "PLANS.md").read_text(encoding="utf-8")
SHOWN = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.M | re.S)
SKILLS = {name: one.spec for name, one in builtin_skills().items()}


@pytest.fixture(scope="module")
def inputs() -> list[InputFile]:
    examples = [inspect_input(ROOT / "examples" / name, name, BLOB) for name in ("reviews.csv", "cars.csv")]
    return [*examples, InputFile(name="a.png", blob=BLOB, kind="image")]


@pytest.mark.parametrize("text", SHOWN)
def test_every_plan_on_the_page_is_valid(text: str, inputs: list[InputFile]) -> None:
    document = parse_text(text, "p.yaml")
    assert isinstance(document, dict)
    whole = document if "subtasks" in document else {"subtasks": [document]}
    plan = parse_plan(whole, skills=SKILLS, inputs=inputs, models=True)
    again = parse_plan(parse_text(dump_plan(plan), "p.yaml"), skills=SKILLS, inputs=inputs, models=True)
    assert again == plan


def test_the_page_names_every_field() -> None:
    models = (Plan, Subtask, Foreach, SkillWork, PythonWork, PromptWork)
    names = {name for model in models for name in model.model_fields} | {field.name for field in fields(Limits)}
    assert [name for name in sorted(names) if f"`{name}`" not in PAGE] == []


def test_the_page_tells_the_usual_limits() -> None:
    for field in fields(Limits):
        assert re.search(rf"\| `{field.name}` \| .* \| {field.default} \|", PAGE), field.name


def test_the_example_estimates_pi() -> None:
    plan = parse_plan(load_plan(ROOT / "examples" / "monte_carlo.yaml"), skills={}, inputs=())
    throw, combine = plan.subtasks
    assert throw.foreach is not None
    assert throw.foreach.items == list(range(1, 65))
    assert plan.answer_id == combine.id == "pi"
    hits = [ran(throw, {"item": seed})["result"] for seed in (1, 2)]
    found = ran(combine, {"needs": {"throw": hits}})["result"]
    assert abs(found["pi"] - 3.14159) < 0.01
    assert found["darts"] == 200_000


def ran(subtask: Subtask, given: Mapping[str, object]) -> dict[str, Any]:
    """The variables after the subtask's code."""
    assert isinstance(subtask.work, PythonWork)
    variables: dict[str, Any] = dict(given)
    exec(compile(subtask.work.code, subtask.id, "exec"), variables)
    return variables
