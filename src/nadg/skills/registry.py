"""The installed skills, found by entry point: each names a module whose decorated functions are its skills."""

from __future__ import annotations

import difflib
import importlib.metadata
from collections.abc import Mapping
from types import ModuleType

import msgspec

from nadg.domain.errors import UserError
from nadg.domain.skill import SkillSpec
from nadg.skills import builtin
from nadg.skills.api import Skill, skill_of

GROUP = "nadg.skills"


class Registry(msgspec.Struct, frozen=True, kw_only=True):
    """Skills by name. What could not be loaded is kept with the reason, and stops nothing else."""

    skills: Mapping[str, Skill]
    broken: Mapping[str, str] = {}
    """Entry point to the reason why its skills are not there."""

    @property
    def specs(self) -> Mapping[str, SkillSpec]:
        return {name: one.spec for name, one in self.skills.items()}

    def get(self, name: str) -> Skill:
        """Raises UserError, naming the nearest skills, where there is none of that name."""
        if (found := self.skills.get(name)) is not None:
            return found
        near = difflib.get_close_matches(name, self.skills, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"installed are {', '.join(sorted(self.skills))}"
        trouble = "".join(
            f"; the package of entry point {point} failed to load: {why}" for point, why in self.broken.items()
        )
        raise UserError(f"skill {name!r} is not installed; {hint}{trouble}")


def builtin_skills() -> dict[str, Skill]:
    """Those that come with NADG, by name; reads no package metadata."""
    return {one.spec.name: one for one in _skills_in(builtin)}


def load_registry() -> Registry:
    """All installed skills, sorted by name. A package can add names, never replace one that is there."""
    found: dict[str, Skill] = builtin_skills()
    broken: dict[str, str] = {}
    for point in sorted(importlib.metadata.entry_points(group=GROUP), key=lambda one: (one.name, one.value)):
        if point.value == builtin.__name__:
            continue
        try:
            module = point.load()
        except Exception as error:  # noqa: BLE001 - a stranger's package may fail in any way; the others still load
            broken[point.name] = f"{type(error).__name__}: {error}"
            continue
        for one in _skills_in(module):
            if (other := found.setdefault(one.spec.name, one)) is not one:
                broken[point.name] = f"{one.spec.name} is already defined in {other.function.__module__}"
    return Registry(skills=dict(sorted(found.items())), broken=broken)


def _skills_in(module: ModuleType) -> list[Skill]:
    found = (skill_of(value) for value in vars(module).values())
    return [one for one in found if one is not None]
