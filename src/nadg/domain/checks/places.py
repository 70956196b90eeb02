"""How a place in a plan, a value and a list of names are shown to the person who has to mend the plan."""

from __future__ import annotations

import difflib
import itertools
import json
import re
from collections.abc import Collection

Path = tuple[str | int, ...]
"""Keys and indexes from the root of a document."""

ROOT = "plan"
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_SHOWN_CHARACTERS = 60
_COMPARED_CHARACTERS = 80


def place_of(path: Path) -> str:
    """`("subtasks", 2, "needs", 0)` as `subtasks[2].needs[0]`; the root is `plan`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _PLAIN_KEY.fullmatch(part):
            text += f".{part}" if text else part
        else:
            text += f"[{json.dumps(part)}]"
    return text or ROOT


def shown(value: object) -> str:
    """A value as one would write it, cut short; harmless for hostile input."""
    if isinstance(value, str):
        cut = value[:_SHOWN_CHARACTERS] + ("…" if len(value) > _SHOWN_CHARACTERS else "")
        return json.dumps(cut, ensure_ascii=False).encode("utf-8", "backslashreplace").decode()
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    if isinstance(value, int) and value.bit_length() > 128:
        return "a whole number beyond 128 bits"
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return "a mapping" if isinstance(value, dict) else f"a {type(value).__name__}"


def listed(names: Collection[str], most: int = 8) -> str:
    """`a, b, c`, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(name[:_COMPARED_CHARACTERS] for name in itertools.islice(names, most)) + more


class Suggestions:
    """Finds the names nearest to a wrong one; stops looking after `budget` comparisons, for hostile plans."""

    def __init__(self, budget: int = 10_000) -> None:
        self._budget = budget

    def nearest(self, wrong: str, known: Collection[str], most: int = 3) -> list[str]:
        """Up to `most` known names, nearest first; empty where nothing is near."""
        self._budget -= len(known)
        if self._budget < 0:
            return []
        by_folded = {name[:_COMPARED_CHARACTERS].casefold(): name for name in known}
        target = wrong[:_COMPARED_CHARACTERS].casefold()
        return [by_folded[name] for name in difflib.get_close_matches(target, by_folded, most, 0.6)]

    def hint(self, wrong: str, known: Collection[str]) -> str:
        """`; did you mean "throw"?`, or the known names, or nothing."""
        found = self.nearest(wrong, known, 1)
        if found:
            return f"; did you mean {shown(found[0])}?"
        return f"; known: {listed(known)}" if known else ""
