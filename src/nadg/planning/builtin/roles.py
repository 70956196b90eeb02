"""Which of a skill's column parameters each column named in a clause is for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nadg.domain.checks.arguments import holds
from nadg.domain.inputs import Column
from nadg.domain.skill import Parameter, SkillSpec
from nadg.planning.builtin.mentions import Mention
from nadg.planning.builtin.words import name_tokens

_GROUPING = frozenset(("by", "group", "groups", "category", "categories", "key", "on", "x", "label", "index"))
_MEASURE = frozenset(("value", "values", "y", "measure", "amount"))
_FITS_EXACTLY, _FITS_ROLE, _FITS_MEASURE = 2.0, 3.0, 1.0
Arguments = dict[str, object]


def column_parameters(spec: SkillSpec) -> list[Parameter]:
    return [one for one in spec.parameters if one.type in ("column", "columns")]


def column_arguments(
    spec: SkillSpec, mentions: Sequence[Mention], columns: Mapping[str, Column]
) -> tuple[Arguments, list[Mention]]:
    """The column arguments, and the mentions that no parameter could take."""
    parameters = column_parameters(spec)
    axes = _axes(parameters, mentions, columns)
    if axes is not None:
        return axes
    found: dict[str, list[str]] = {}
    idle: list[Mention] = []
    # Groupings first: `price per region` must not spend the parameter for groups on the price.
    for mention in sorted(mentions, key=lambda one: one.role == "plain"):
        free = [one for one in parameters if one.type == "columns" or one.name not in found]
        scored = [(_suits(one, mention, columns[mention.column]), -place, one) for place, one in enumerate(free)]
        best = max(scored, key=lambda entry: entry[:2], default=None)
        if best is None or best[0] <= 0:
            idle.append(mention)
        else:
            found.setdefault(best[2].name, []).append(mention.column)
    return _as_arguments(parameters, found), idle


def _as_arguments(parameters: Sequence[Parameter], found: Mapping[str, list[str]]) -> Arguments:
    return {
        one.name: found[one.name] if one.type == "columns" else found[one.name][0]
        for one in parameters
        if one.name in found
    }


def _suits(parameter: Parameter, mention: Mention, column: Column) -> float:
    """How well a parameter suits a mention; zero or less where it cannot take it."""
    if not holds(column, parameter.column_kind):
        return 0
    words = {token.text for token in name_tokens(parameter.name)}
    groups = parameter.column_kind == "category" or bool(words & _GROUPING)
    score = 0.5 + (_FITS_EXACTLY if parameter.column_kind == column.kind else 0)
    if mention.role == "by":
        return score + _FITS_ROLE if groups else score - _FITS_ROLE
    measures = parameter.column_kind in ("number", "text") or bool(words & _MEASURE)
    return score + _FITS_MEASURE if measures else score


def _axes(
    parameters: Sequence[Parameter], mentions: Sequence[Mention], columns: Mapping[str, Column]
) -> tuple[Arguments, list[Mention]] | None:
    """`y against x`, `y over x`, `y by x`, and `x and y` for a skill with two axes."""
    by_name = {one.name: one for one in parameters}
    if not {"x", "y"} <= set(by_name) or not mentions:
        return None
    across = next((one for one in mentions if one.role != "plain" and _fits(by_name["x"], one, columns)), None)
    rest = [one for one in mentions if one is not across]
    if across is None and len(rest) > 1 and _fits(by_name["x"], rest[0], columns):
        across, rest = rest[0], rest[1:]
    upwards = [one for one in rest if one.role == "plain" and _fits(by_name["y"], one, columns)]
    if by_name["y"].type == "column":
        upwards = upwards[:1]
    found: dict[str, list[str]] = {"y": [one.column for one in upwards]} if upwards else {}
    if across is not None:
        found["x"] = [across.column]
    used = [across, *upwards]
    others = [one for one in parameters if one.name not in ("x", "y")]
    idle: list[Mention] = []
    for mention in (one for one in mentions if one not in used):
        taker = next((one for one in others if one.name not in found and _fits(one, mention, columns)), None)
        if taker is None:
            idle.append(mention)
        else:
            found[taker.name] = [mention.column]
    return _as_arguments(parameters, found), idle


def _fits(parameter: Parameter, mention: Mention, columns: Mapping[str, Column]) -> bool:
    return holds(columns[mention.column], parameter.column_kind)
