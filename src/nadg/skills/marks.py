"""What a skill's signature is written with: the kinds of data it takes and what its arguments must hold.

None of it needs pandas or Pillow: a planner reads signatures on a machine that has neither.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from nadg.domain.skill import ColumnKind

if TYPE_CHECKING:
    import pandas as pd

    Table: TypeAlias = pd.DataFrame
    RawTable: TypeAlias = pd.DataFrame
    Tables: TypeAlias = Mapping[str, pd.DataFrame]
    RawTables: TypeAlias = Mapping[str, pd.DataFrame]
    ImageFile: TypeAlias = Path
    ImageFiles: TypeAlias = Sequence[Path]
else:

    class Table:
        """A pandas DataFrame with types judged from the cells: numbers, dates, text; missing cells are NA."""

    class RawTable:
        """A pandas DataFrame of text cells exactly as the file holds them; missing cells are empty text."""

    class Tables:
        """File name to Table, in the order of the subtask's inputs."""

    class RawTables:
        """File name to RawTable, in the order of the subtask's inputs."""

    class ImageFile:
        """The path of one image; the skill is called once per file."""

    class ImageFiles:
        """The paths of several images, in the order of the subtask's inputs."""


class Needs(msgspec.Struct, frozen=True, kw_only=True):
    """What the subtasks that this one needs have given, by subtask id."""

    results: Mapping[str, object]
    folders: Mapping[str, Path]
    """Where each one's artifacts stand."""
    missing: Mapping[str, str]
    """Those that failed and were allowed to, with the reason."""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """What one batch of a mapped skill gave: its result and the folder with the files it wrote."""

    result: object
    folder: Path


class Column(msgspec.Struct, frozen=True):
    """Marks a `str` or `list[str]` argument as columns of the table that hold this `kind`.

    With `pick`, a column left out is chosen before the skill is called; there is a clear error where none fits.
    """

    kind: ColumnKind = "any"
    pick: bool = False


class Range(msgspec.Struct, frozen=True):
    """Bounds of a number argument, both allowed values."""

    minimum: float | None = None
    maximum: float | None = None
