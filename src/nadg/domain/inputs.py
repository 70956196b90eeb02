"""What is known of an input file: enough to plan and to bind it, never its whole content."""

from __future__ import annotations

from typing import Literal

import msgspec

from nadg.domain.blob import BlobRef, FileRef

InputKind = Literal["table", "text", "image", "other"]


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """A column of a table, judged by its first rows."""

    name: str
    kind: Literal["text", "number", "category", "empty"]
    """`text`: sentences; `category`: short repeated words, dates, identifiers; `empty`: no value seen."""
    missing: int = 0
    """Empty cells among the rows that were looked at."""
    examples: tuple[str, ...] = ()


class InputFile(msgspec.Struct, frozen=True, kw_only=True):
    """An input of a run: its name (without a folder), content, kind and, for a table, its columns."""

    name: str
    blob: BlobRef
    kind: InputKind
    columns: tuple[Column, ...] = ()
    rows: int | None = None
    """Data rows of a table, header not counted; None for other kinds."""

    @property
    def ref(self) -> FileRef:
        return FileRef(name=self.name, blob=self.blob)

    def columns_of(self, kind: str) -> tuple[Column, ...]:
        """The columns of one kind, in file order."""
        return tuple(column for column in self.columns if column.kind == kind)
