"""What every planner is: something that turns a command and files into a plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from nadg.domain.inputs import InputFile
from nadg.domain.plan import Plan
from nadg.domain.skill import SkillSpec


class Planner(Protocol):
    """Makes plans out of the installed skills."""

    async def plan(self, command: str, inputs: Sequence[InputFile], skills: Mapping[str, SkillSpec]) -> Plan:
        """A validated plan. Raises UserError, in plain words, where the command cannot be planned."""
        ...
