"""A problem found in a plan: where it stands and what to do about it."""

from __future__ import annotations

import msgspec


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong with a plan."""

    place: str
    """Path into the document, such as `subtasks[2].needs[0]`."""
    message: str
    """One sentence: the value, what is wrong with it, what would be right."""

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"
