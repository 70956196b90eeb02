"""Columns that a clause asks for and that cannot be had: better said now than answered with another column."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nadg.domain.checks.places import Suggestions, listed
from nadg.domain.skill import SkillSpec
from nadg.planning.builtin.mentions import Mention
from nadg.planning.builtin.requests import Request
from nadg.planning.builtin.roles import column_parameters
from nadg.planning.builtin.sources import Source

_PICTURES = (".png", ".svg", ".jpg", ".pdf")


def column_troubles(request: Request, source: Source, idle: Sequence[Mention]) -> Iterator[str]:
    """Sentences about named columns that are not there or do not fit."""
    spec, clause = request.spec, request.clause
    for mention in idle:
        asked = mention.role != "plain" or (mention.exact and spec.primary_table is None)
        if asked and not set(mention.places) & request.match.strong:
            kinds = listed([f"{one.name} ({one.kind})" for one in source.columns], 12)
            takes = listed([f"{one.name} ({one.column_kind})" for one in column_parameters(spec)])
            limit = f"it takes {takes}" if takes else "it looks at all columns"
            yield (
                f'"{clause.text}" names {mention.column}, which {spec.name} cannot use ({limit}); name another '
                f"skill, or another column of {source.origins[0]}: {kinds}"
            )
    names = [one.name for one in source.columns]
    for word in _unknown_columns(request, spec):
        near = Suggestions().nearest(word, names, 1)
        hint = f"did you mean {near[0]}?" if near else f"its columns are {listed(names, 12)}"
        yield f'"{clause.text}" names {word}, which is no column of {source.origins[0]}; {hint}'


def _unknown_columns(request: Request, spec: SkillSpec) -> Iterator[str]:
    """Words that stand where a column should, after `per`, `against` or, for a drawing, `of`, and are none."""
    kinds = {one.column_kind for one in column_parameters(spec)}
    if not kinds or kinds == {"text"}:
        return
    clause, draws = request.clause, any(name.endswith(_PICTURES) for name in spec.produces)
    for at, token in enumerate(clause.tokens):
        if not token.has_content or at in clause.taken or at in request.match.strong:
            continue
        before = next(
            (one.text for one in reversed(clause.tokens[:at]) if one.text not in ("the", "a", "our")), ""
        )
        asked = before in ("per", "by", "each", "versus", "vs", "against")
        if asked or (draws and before == "of" and not clause.mentions):
            yield token.text
