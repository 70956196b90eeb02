"""`random`, loaded in the warm process, and seeded anew in a task only when the task imports it.

The module asks to be run in every forked process, to seed its generator; that touches so many pages of memory
that it costs a tenth of a trivial attempt.
"""

from __future__ import annotations

import os
import sys
import types
from collections.abc import Callable
from importlib.machinery import ModuleSpec


def load_without_hook() -> None:
    """Import `random` before anyone else does, and leave out what it would do in every fork."""
    register: Callable[..., None] = os.register_at_fork
    os.register_at_fork = _register_nothing
    try:
        import random  # noqa: F401 it stays in sys.modules
    finally:
        os.register_at_fork = register


def _register_nothing(**_hooks: object) -> None:
    """In place of os.register_at_fork."""


def seed_on_import() -> None:
    """Let the next import of `random` seed it. Whoever has it already must seed it himself."""
    sys.meta_path.insert(0, _SeedingFinder(sys.modules.pop("random")))


class _SeedingFinder:
    """Finds one module, which is loaded already."""

    def __init__(self, module: types.ModuleType) -> None:
        self._module = module

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> ModuleSpec | None:
        return ModuleSpec(name, self, origin=self._module.__file__) if name == "random" else None  # type: ignore[arg-type]  # has the two methods of a loader

    def create_module(self, _spec: ModuleSpec) -> types.ModuleType:
        return self._module

    def exec_module(self, module: types.ModuleType) -> None:
        sys.meta_path.remove(self)
        module.seed()
