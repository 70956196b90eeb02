"""What can be asked without a grid: the installed skills and the schema of plan files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nadg.domain.plan import Plan
from nadg.domain.run import RunRecord
from nadg.domain.skill import SkillSpec
from nadg.orchestrator.derive import whole_plan
from nadg.planning import file
from nadg.skills.registry import load_registry


def skill_specs() -> Mapping[str, SkillSpec]:
    """Every installed skill by name."""
    return load_registry().specs


def skill_spec(name: str) -> SkillSpec:
    """One skill. Raises UserError, naming the nearest ones, where there is none of that name."""
    return load_registry().get(name).spec


def broken_skill_packages() -> Mapping[str, str]:
    """Entry points whose skills could not be loaded, each with the reason."""
    return load_registry().broken


def plan_schema() -> dict[str, Any]:
    """The JSON Schema of plan files."""
    return file.plan_schema()


def plan_text(plan: Plan) -> str:
    """A plan as YAML, for a plan file."""
    return file.dump_plan(plan)


def plan_of_run(record: RunRecord) -> Plan:
    """The plan that a run had in the end."""
    return whole_plan(record)
