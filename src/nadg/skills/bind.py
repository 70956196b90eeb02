"""A subtask's inputs as the first argument of a skill, and the columns that a plan left open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from nadg.domain.errors import UserError
from nadg.skills.api import Skill
from nadg.skills.arguments import check_columns, named_columns
from nadg.skills.columns import pick_column, typed
from nadg.skills.marks import Needs
from nadg.skills.reading import is_table_file, raw_of_rows, read_raw

if TYPE_CHECKING:
    import pandas as pd

HEAD_ROWS = 500
"""Columns are chosen by the first rows of the file, so that every batch of it chooses the same."""
IMAGE_FILES = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".ico", ".ppm", ".pgm")

BoundCall = tuple[Sequence[object], Mapping[str, object]]


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """What the sandbox hands over: the variables of the code contract."""

    inputs: Mapping[str, str]
    needs: Mapping[str, object] = {}
    needs_files: Mapping[str, str] = {}
    missing: Mapping[str, str] = {}
    rows: Sequence[Mapping[str, object]] | None = None
    item: object = None

    def paths(self) -> dict[str, Path]:
        return {name: Path(path).absolute() for name, path in self.inputs.items()}


def bound_data(skill: Skill, given: Given, values: Mapping[str, object]) -> list[BoundCall]:
    """The calls to make: one, or one per file for a skill that takes one image and was given several."""
    match skill.spec.takes:
        case "table":
            return [_table_call(skill, given, values)]
        case "tables":
            return [_tables_call(skill, given, values)]
        case "image":
            return [((path,), values) for path in _images(skill, given)]
        case "images":
            return [((_images(skill, given),), values)]
        case "needs":
            folders = {name: Path(folder).absolute() for name, folder in given.needs_files.items()}
            return [((Needs(results=given.needs, folders=folders, missing=given.missing),), values)]
        case _:
            return [((), values)]


def _table_call(skill: Skill, given: Given, values: Mapping[str, object]) -> BoundCall:
    if given.rows is None:
        source, path = _one_table(skill, given)
        raw = read_raw(source, path)
        head = raw.head(HEAD_ROWS)
    else:
        source, raw, head = _batch(given, given.rows)
    chosen = {
        name: pick_column(mark, head, source, name) for name, mark in skill.picked.items() if not values[name]
    }
    values = {**values, **chosen}
    check_columns(skill.spec, values, raw if given.rows is None else head, source)
    if given.rows is not None:  # a batch of JSON lines may lack a column that other rows have
        raw = raw.reindex(
            columns=list(dict.fromkeys([*raw.columns, *named_columns(skill.spec, values)])), fill_value=""
        )
    return (raw if skill.raw else typed(raw),), values


def _batch(given: Given, rows: Sequence[Mapping[str, object]]) -> tuple[str, pd.DataFrame, pd.DataFrame]:
    """The rows of one batch, and the first rows of the whole file where it is at hand."""
    raw = raw_of_rows(rows)
    tables = [name for name in given.inputs if is_table_file(name)]
    if len(tables) != 1:
        return "the table", raw, raw
    return tables[0], raw, read_raw(tables[0], given.paths()[tables[0]], HEAD_ROWS)


def _one_table(skill: Skill, given: Given) -> tuple[str, Path]:
    paths = given.paths()
    candidates = {name: path for name, path in paths.items() if is_table_file(name)} or paths
    if len(candidates) == 1:
        return next(iter(candidates.items()))
    if not candidates:
        raise UserError(f"{skill.spec.name}: the subtask has no input; name the table to read under `inputs`")
    raise UserError(
        f"{skill.spec.name}: reads one table, but the inputs are {', '.join(candidates)}; leave one of them"
    )


def _tables_call(skill: Skill, given: Given, values: Mapping[str, object]) -> BoundCall:
    paths = given.paths()
    if len(paths) < 2:
        stated = ", ".join(paths) or "none"
        raise UserError(f"{skill.spec.name}: needs two tables or more under `inputs` (given: {stated})")
    raws = {name: read_raw(name, path) for name, path in paths.items()}
    for name, raw in raws.items():
        check_columns(skill.spec, values, raw, name)
    return (raws if skill.raw else {name: typed(raw) for name, raw in raws.items()},), values


def _images(skill: Skill, given: Given) -> list[Path]:
    if given.item is not None:
        if not isinstance(given.item, str | Path):
            raise UserError(f"{skill.spec.name}: the item is {given.item!r}; give `foreach: {{files: '*.png'}}`")
        return [Path(given.item).absolute()]
    paths = [path for name, path in given.paths().items() if name.lower().endswith(IMAGE_FILES)]
    if not paths:
        stated = ", ".join(given.inputs) or "none"
        raise UserError(f"{skill.spec.name}: needs an image under `inputs` (given: {stated})")
    return paths
