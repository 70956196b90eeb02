"""What one attempt is given and what came of it, as the worker sees both."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Literal

import msgspec

from nadg.domain.blob import FileRef, Value
from nadg.domain.limits import Limits
from nadg.domain.outcome import OutcomeKind


class RowsGiven(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes `start` to `stop` of a table, after its header; see `nadg.domain.rows`."""

    name: str
    path: Path
    header_stop: int
    start: int
    stop: int


class PartGiven(msgspec.Struct, frozen=True, kw_only=True):
    """What one map shard gave: its encoded result and its files."""

    result: bytes | Path
    files: dict[str, Path] = {}


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt. Values are encoded JSON, inline or in a file; files are given by name and path."""

    attempt_id: str
    source: str
    """Python source, run as `__main__` in an empty folder."""
    zygote: str = "auto"
    """`auto`: chosen by the modules that the source imports."""
    mode: Literal["once", "items", "rows"] = "once"
    first: int = 0
    """The index of the first item, for reasons and `item_index`."""
    items: bytes | Path | None = None
    """A JSON list, for mode `items`."""
    item_files: tuple[tuple[str, Path], ...] = ()
    """For mode `items` over files: each item is the path of the placed file."""
    rows: RowsGiven | None = None
    inputs: dict[str, Path] = {}
    needs: dict[str, bytes | Path] = {}
    needs_files: dict[str, dict[str, Path]] = {}
    parts: tuple[PartGiven, ...] = ()
    """Given to the code as `parts`, a list of `{"result": ..., "folder": path}`."""
    missing: dict[str, str] = {}
    limits: Limits = Limits()


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """The end of an attempt; the fields mean what they mean in an Outcome and its Receipt."""

    kind: OutcomeKind
    reason: str = ""
    detail: str = ""
    exit_code: int | None = None
    result: Value | None = None
    per_item: bool = False
    artifacts: tuple[FileRef, ...] = ()
    """Collected where the attempt succeeded, sorted by name."""
    stdout_tail: str = ""
    stderr_tail: str = ""
    notes: tuple[str, ...] = ()
    cpu_seconds: float = 0.0
    max_rss_bytes: int = 0
    started_at: datetime.datetime
    finished_at: datetime.datetime
