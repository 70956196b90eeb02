"""What a skill's author imports: the decorator, the marks for signatures, and the form of results.

from nadg.skills.api import Column, Finding, Table, skill

@skill("money.total", synonyms=("sum up",), examples=("add up all invoices",))
def total(table: Table, column: Annotated[str, Column("number", pick=True), "What to add up."]) -> Finding:
    '''Add up a column of money.'''
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Literal, TypeVar

import msgspec

from nadg.domain.errors import UserError
from nadg.domain.skill import SkillSpec, Takes
from nadg.skills.finding import Finding, Picture, Shown
from nadg.skills.marks import (
    Column,
    ImageFile,
    ImageFiles,
    Needs,
    Part,
    Range,
    RawTable,
    RawTables,
    Table,
    Tables,
)
from nadg.skills.signature import Signature

__all__ = [
    "Column",
    "Finding",
    "ImageFile",
    "ImageFiles",
    "Needs",
    "Part",
    "Picture",
    "Range",
    "RawTable",
    "RawTables",
    "Shown",
    "Skill",
    "Table",
    "Tables",
    "UserError",
    "skill",
]

_NAME = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")
_MARK = "__nadg_skill__"
_MAPPABLE: dict[str | None, tuple[Takes, ...]] = {"rows": ("table",), "files": ("image",)}

Function = TypeVar("Function", bound=Callable[..., object])


class Skill(msgspec.Struct, frozen=True, kw_only=True):
    """A skill that is installed: what planners see of it and what is called."""

    spec: SkillSpec
    function: Callable[..., object]
    merge: Callable[..., object] | None = None
    picked: dict[str, Column] = {}
    """Arguments that are chosen from the table where a plan leaves them out."""
    raw: bool = False
    """Whether the table's cells stay text."""


def skill(
    name: str,
    *,
    synonyms: Sequence[str] = (),
    examples: Sequence[str] = (),
    takes: Takes | None = None,
    maps_over: Literal["rows", "files"] | None = None,
    merge: Callable[..., object] | None = None,
    produces: Sequence[str] = (),
    primary_table: str | None = None,
    tolerates_missing: bool = False,
    cacheable: bool = True,
    version: str = "1",
) -> Callable[[Function], Function]:
    """Make a function a skill. It stays an ordinary function. Raises TypeError on a form that no plan could call.

    `takes` is read from the type of the first parameter; naming it as well only checks it.
    """

    def decorate(function: Function) -> Function:
        signature = Signature(name, function)
        _check(name, signature, takes, maps_over, merge, produces, primary_table)
        spec = SkillSpec(
            name=name,
            summary=signature.summary,
            description=signature.description,
            version=version,
            synonyms=tuple(synonyms),
            examples=tuple(examples),
            takes=signature.takes,
            parameters=signature.parameters,
            maps_over=maps_over,
            merges=merge is not None,
            produces=tuple(produces),
            primary_table=primary_table,
            tolerates_missing=tolerates_missing,
            cacheable=cacheable,
        )
        raw = signature.data_type in (RawTable, RawTables)
        made = Skill(spec=spec, function=function, merge=merge, picked=signature.picked, raw=raw)
        setattr(function, _MARK, made)
        return function

    return decorate


def skill_of(candidate: object) -> Skill | None:
    """The skill that a decorated function is; None for anything else."""
    found = getattr(candidate, _MARK, None)
    return found if isinstance(found, Skill) else None


def _check(
    name: str,
    signature: Signature,
    takes: Takes | None,
    maps_over: str | None,
    merge: Callable[..., object] | None,
    produces: Sequence[str],
    primary_table: str | None,
) -> None:
    if not _NAME.fullmatch(name):
        raise TypeError(f"{name!r} is no skill name; use `field.verb` in lower case, such as `text.sentiment`")
    if takes is not None and takes != signature.takes:
        raise TypeError(f"{name}: takes={takes!r}, but its first parameter takes {signature.takes!r}")
    if maps_over is not None and signature.takes not in _MAPPABLE[maps_over]:
        raise TypeError(f"{name}: maps_over={maps_over!r} does not fit a skill that takes {signature.takes!r}")
    if maps_over == "rows" and (merge is None or signature.data_type is not RawTable):
        raise TypeError(f"{name}: a skill over rows takes a RawTable and has a merge function")
    if merge is not None and maps_over is None:
        raise TypeError(f"{name}: merge only makes sense with maps_over")
    if primary_table is not None and primary_table not in produces:
        raise TypeError(f"{name}: primary_table {primary_table!r} is not among what it produces")
