"""What of a subtask is readable, so that one slip does not hide the other problems of a plan."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from nadg.domain.checks import fields
from nadg.domain.checks.places import Path, Suggestions, listed, place_of, shown
from nadg.domain.plan import MAX_SUBTASKS, Foreach, PromptWork, PythonWork, SkillWork, Subtask, Work
from nadg.domain.problems import Problem

Names = tuple[tuple[int, str], ...]
"""The texts in a list, each with its index."""

_MOST = {"needs": MAX_SUBTASKS, "inputs": 10_000, "labels": 100}
_WORK: TypeAdapter[SkillWork | PythonWork | PromptWork] = TypeAdapter(Work)


class Draft(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """A subtask as far as it can be read; `whole` is set where its shape is right."""

    index: int
    id: str | None = None
    needs: Names = ()
    inputs: Names = ()
    work: SkillWork | PythonWork | PromptWork | None = None
    foreach: Foreach | None = None
    whole: Subtask | None = None

    @property
    def path(self) -> Path:
        return ("subtasks", self.index)

    def problem(self, path: Path, message: str) -> Problem:
        """A problem at a place inside this subtask."""
        return Problem(place=place_of((*self.path, *path)), message=message)

    @functools.cached_property
    def need_ids(self) -> frozenset[str]:
        """The readable needs as a set."""
        return frozenset(name for _, name in self.needs)


def read_draft(index: int, raw: object, suggest: Suggestions) -> tuple[Draft, list[Problem]]:
    """Read one subtask, and say what is wrong with its shape."""
    if not isinstance(raw, Mapping):
        place = place_of(("subtasks", index))
        return Draft(index=index), [Problem(place=place, message=f"{shown(raw)} is no subtask; give a mapping")]
    fitting, problems = _without_long_lists(index, raw)
    try:
        whole = Subtask.model_validate(fitting)
    except ValidationError as error:
        details = error.errors(include_url=False)
        problems += _sentences(index, raw, details, suggest)
        return _readable(index, fitting, {one["loc"][0] for one in details if one["loc"]}), problems
    draft = Draft(
        index=index,
        id=whole.id,
        needs=tuple(enumerate(whole.needs)),
        inputs=tuple(enumerate(whole.inputs)),
        work=whole.work,
        foreach=whole.foreach,
        whole=None if problems else whole,
    )
    return draft, problems


def _without_long_lists(index: int, raw: Mapping[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
    fitting, problems = dict(raw), []
    for name, most in _MOST.items():
        value = raw.get(name)
        if isinstance(value, list) and len(value) > most:
            place = place_of(("subtasks", index, name))
            problems.append(
                Problem(place=place, message=f"lists {len(value):,} names; at most {most:,} are allowed")
            )
            del fitting[name]
    return fitting, problems


def _readable(index: int, raw: Mapping[str, Any], bad: set[str | int]) -> Draft:
    """The fields that stand on their own feet beside broken ones."""
    subtask_id = raw.get("id")
    work, foreach = None, None
    if "work" in raw and "work" not in bad:
        work = _WORK.validate_python(raw["work"])
    if raw.get("foreach") is not None and "foreach" not in bad:
        foreach = Foreach.model_validate(raw["foreach"])
    return Draft(
        index=index,
        id=subtask_id if isinstance(subtask_id, str) else None,
        needs=_names(raw.get("needs")),
        inputs=_names(raw.get("inputs")),
        work=work,
        foreach=foreach,
    )


def _names(value: object) -> Names:
    if not isinstance(value, list):
        return ()
    return tuple((index, name) for index, name in enumerate(value) if isinstance(name, str))


def _sentences(
    index: int, raw: Mapping[str, Any], details: Sequence[ErrorDetails], suggest: Suggestions
) -> list[Problem]:
    """Each place's first error as a sentence."""
    found: dict[tuple[Path, str], Problem] = {}
    for one in details:
        path = _document_path(raw, one["loc"])
        names = tuple(part for part in path if isinstance(part, str))
        absent = one["type"] in ("missing", "union_tag_not_found")
        if one["type"] == "union_tag_not_found":
            names = ("work", "kind")
        if one["type"] == "union_tag_invalid":
            path, names = ("work", "kind"), ("work", "kind")
        if absent:
            path = names[:-1]
        key = (path, names[-1] if absent else "")
        message = _sentence(raw, path, names, one, suggest)
        found.setdefault(key, Problem(place=place_of(("subtasks", index, *path)), message=message))
    return list(found.values())


def _sentence(
    raw: Mapping[str, Any], path: Path, names: tuple[str, ...], one: ErrorDetails, suggest: Suggestions
) -> str:
    if one["type"] in ("missing", "union_tag_not_found"):
        return f"{names[-1]} is missing; give {fields.requirement(names)}"
    if one["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        work = raw.get("work")
        known = fields.fields_at(names[:-1], work.get("kind") if isinstance(work, Mapping) else None)
        near = suggest.nearest(names[-1], known, 1)
        hint = f"did you mean {near[0]}?" if near else f"the fields are {listed(known, 12)}"
        return f"{shown(names[-1])} is no field of {names[-2] if len(names) > 1 else 'a subtask'}; {hint}"
    if one["type"] == "value_error":
        return str(one["ctx"]["error"])
    value = _value_at(raw, path)
    return f"{shown(value)} does not fit; give {fields.requirement(names, isinstance(path[-1], int))}"


def _document_path(raw: Mapping[str, Any], loc: tuple[str | int, ...]) -> Path:
    """Where an error stands in the document: the validator's own path less the names of union members."""
    if loc[:1] == ("work",) and len(loc) > 1:
        loc = ("work", *loc[2:])
    if loc[:2] == ("foreach", "shard_size"):
        loc = loc[:2]
    if loc[:3] == ("work", "args", loc[2] if len(loc) > 2 else None):
        loc = loc[:3]
    return loc


def _value_at(raw: Any, path: Path) -> object:
    for part in path:
        try:
            raw = raw[part]
        except (KeyError, IndexError, TypeError):
            return None
    value: object = raw
    return value
