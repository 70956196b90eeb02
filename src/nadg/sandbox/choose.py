"""Which warm process suits a source: the one that already holds most of what the source imports."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_IMPORT: Final = re.compile(r"(?:^|[\n;:])[ \t]*(?:from[ \t]+([\w.]+)[ \t]+import\b|import[ \t]+([\w., \t]+))")
_BUILT_ON: Final = {
    "sklearn": "numpy",
    "scipy": "numpy",
    "seaborn": "matplotlib",
    "statsmodels": "pandas",
    "torch": "numpy",
}
"""Packages that are not preloaded themselves but start by importing one that may be."""


def imported_names(source: str) -> frozenset[str]:
    """Top-level names of the modules that a source seems to import; a guess from its text."""
    if "import" not in source:
        return frozenset()
    names: set[str] = set()
    for origin, listed in _IMPORT.findall(source):
        for entry in (origin or listed).split(","):
            words = entry.split()
            if words:
                names.add(words[0].partition(".")[0])
    return frozenset(names - {""})


def choose_zygote(source: str, zygotes: Mapping[str, tuple[str, ...]]) -> str:
    """The name of the best fitting zygote; the first one where none holds anything that is imported."""
    names = {_BUILT_ON.get(name, name) for name in imported_names(source)}
    best, most = next(iter(zygotes)), 0
    for zygote, modules in zygotes.items():
        held = len(names & {module.partition(".")[0] for module in modules})
        if held > most:
            best, most = zygote, held
    return best
