"""What is known of a skill without importing it: the words it answers to and what it takes and gives."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

ParameterType = Literal["string", "integer", "number", "boolean", "column", "columns", "strings"]
ColumnKind = Literal["any", "text", "number", "category"]
Takes = Literal["table", "tables", "image", "images", "needs", "nothing"]


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """One argument of a skill that a plan may set."""

    name: str
    type: ParameterType
    description: str = ""
    required: bool = False
    default: Any = None
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    column_kind: ColumnKind = "any"
    """For `column` and `columns`: what the columns must hold. A column left out is chosen by the skill."""


class SkillSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A skill as planners see it.

    `takes` says how its subtask's `inputs` are bound: one `table`, several `tables`, one `image`
    (mapped over files), several `images`, or only what it `needs` from other subtasks.
    """

    name: str
    """`field.verb`, such as `text.sentiment`."""
    summary: str
    description: str = ""
    version: str = "1"
    synonyms: tuple[str, ...] = ()
    """Words and phrases a person might use for it."""
    examples: tuple[str, ...] = ()
    """Clauses that should find it."""
    takes: Takes = "table"
    parameters: tuple[Parameter, ...] = ()
    maps_over: Literal["rows", "files"] | None = None
    """`rows`: may be given any batch of consecutive rows. `files`: is called once per file."""
    merges: bool = False
    """Whether it has a merge function that makes one result of the parts' results and artifacts."""
    produces: tuple[str, ...] = ()
    """Artifacts it always writes; others may refer to them as `SUBTASK/NAME`."""
    primary_table: str | None = None
    """The artifact of `produces` that later table skills should read instead of the original input."""
    tolerates_missing: bool = False
    """Whether it still makes sense when a subtask it needs has failed with `on_failure: continue`."""
    cacheable: bool = True
    """Whether what it gave once may serve for equal work: not where it reads the time or draws lots."""

    def parameter(self, name: str) -> Parameter | None:
        return next((one for one in self.parameters if one.name == name), None)
