"""What a skill can work on at some point of a plan: inputs, and the tables that earlier subtasks made of them."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

import msgspec

from nadg.domain.inputs import Column, InputFile
from nadg.domain.rows import is_row_file
from nadg.domain.skill import Parameter, SkillSpec

_TEXT_NAMES = ("text", "review", "comment", "message", "feedback", "body", "content", "sentence", "description",
               "tweet", "post")  # fmt: skip
_LINE = Column(name="text", kind="text")
"""The only column of a plain text file, a row per line."""


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """A table at hand: an input as it came, or the artifact that replaced it."""

    name: str
    """As a plan names it: `cars.csv`, `clean/cleaned.csv`."""
    origins: tuple[str, ...]
    """The inputs it was made of."""
    columns: tuple[Column, ...]
    made_by: str | None = None

    @property
    def can_be_cut(self) -> bool:
        return is_row_file(self.name)

    def column(self, name: str) -> Column | None:
        return next((one for one in self.columns if one.name == name), None)

    def text_column(self) -> str | None:
        """The column that most likely holds what a text skill is asked to read."""
        texts = [one for one in self.columns if one.kind == "text"]
        return min(texts, key=_telling, default=_LINE).name if texts else None


def _telling(column: Column) -> tuple[int, float]:
    name = column.name.lower()
    rank = next((at for at, word in enumerate(_TEXT_NAMES) if word in name), len(_TEXT_NAMES))
    return rank, -sum(map(len, column.examples))


def input_sources(inputs: Sequence[InputFile]) -> list[Source]:
    """The inputs that are tables, and the plain text files that serve as one."""
    found = []
    for one in inputs:
        if one.kind == "table":
            found.append(Source(name=one.name, origins=(one.name,), columns=one.columns))
        elif one.kind == "text" and re.search(r"\.(txt|text|md|log)$", one.name, re.I):
            found.append(Source(name=one.name, origins=(one.name,), columns=(_LINE,)))
    return found


def replaced(sources: Sequence[Source], made: Source) -> list[Source]:
    """The sources after a subtask made a better table of some of them."""
    rest = [one for one in sources if not set(one.origins) & set(made.origins)]
    return [*rest, made]


def joined_columns(sources: Sequence[Source]) -> tuple[Column, ...]:
    """The columns of several tables, each name once."""
    return tuple({one.name: one for source in sources for one in source.columns}.values())


def text_parameter(spec: SkillSpec) -> Parameter | None:
    """The parameter for the column of text that a skill cannot do without."""
    for one in spec.parameters:
        if one.type == "column" and one.column_kind == "text" and (one.required or one.default == ""):
            return one
    return None


def suits(spec: SkillSpec, source: Source) -> bool:
    """Whether a skill that takes a table can work on this one."""
    if text_parameter(spec) is not None:
        return source.text_column() is not None
    plain_text = source.columns == (_LINE,)
    return not plain_text


def at_hand(spec: SkillSpec, sources: Sequence[Source], images: Collection[str]) -> bool:
    """Whether there is anything that the skill could work on."""
    match spec.takes:
        case "table":
            return any(suits(spec, one) for one in sources)
        case "tables":
            return sum(suits(spec, one) for one in sources) > 1
        case "image" | "images":
            return bool(images)
    return True
