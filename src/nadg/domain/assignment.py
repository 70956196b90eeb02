"""What is sent to a worker for one attempt. Only JSON, source text and references to blobs."""

from __future__ import annotations

from typing import Any

import msgspec

from nadg.domain.blob import FileRef, Value
from nadg.domain.limits import Limits
from nadg.domain.tier import Tier


class Code(msgspec.Struct, frozen=True, kw_only=True, tag="python", tag_field="kind"):
    """Python source under the code contract."""

    code: str


class SkillCall(msgspec.Struct, frozen=True, kw_only=True, tag="skill", tag_field="kind"):
    """An installed skill with its arguments."""

    skill: str
    args: dict[str, Any] = {}


Job = Code | SkillCall


class Whole(msgspec.Struct, frozen=True, tag="whole", tag_field="kind"):
    """The only shard of a subtask without `foreach`."""


class Items(msgspec.Struct, frozen=True, kw_only=True, tag="items", tag_field="kind"):
    """Consecutive JSON items; `values` is a JSON list; `first` is the index of its first item."""

    first: int
    count: int
    values: Value


class Files(msgspec.Struct, frozen=True, kw_only=True, tag="files", tag_field="kind"):
    """Consecutive files, handled one by one; `first` is the index of the first."""

    first: int
    files: tuple[FileRef, ...]


class Rows(msgspec.Struct, frozen=True, kw_only=True, tag="rows", tag_field="kind"):
    """Consecutive data rows of a table: bytes `start` to `stop` (exclusive) of the file, after its header."""

    file: FileRef
    first: int
    count: int
    start: int
    stop: int
    header_stop: int
    """Bytes 0 to here hold the header record; 0 for JSON lines."""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """What one map shard gave, for a merge."""

    result: Value
    files: tuple[FileRef, ...] = ()


class Merge(msgspec.Struct, frozen=True, kw_only=True, tag="merge", tag_field="kind"):
    """The closing shard of a mapped skill that merges: all parts, in shard order."""

    parts: tuple[Part, ...]


Piece = Whole | Items | Files | Rows | Merge


class Assignment(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt, complete: with it and its blobs a worker needs nothing else."""

    attempt_id: str
    job: Job
    piece: Piece
    inputs: tuple[FileRef, ...] = ()
    needs: dict[str, Value] = {}
    needs_files: dict[str, tuple[FileRef, ...]] = {}
    missing: dict[str, str] = {}
    """Needed subtasks that failed and were allowed to, with the reason; only for work that tolerates it."""
    limits: Limits = Limits()
    min_tier: Tier = Tier.LANDLOCK
    labels: tuple[str, ...] = ()
    """Labels a worker must have."""
    avoid_workers: tuple[str, ...] = ()
    """Workers that lost this shard before: another is chosen while there is one."""
    term: int = 1
    """The term of the run's lease under which it was decided; workers refuse older ones than they know."""

    def blobs(self) -> dict[str, int]:
        """Every blob it refers to, SHA-256 to size."""
        found: dict[str, int] = {}
        files = [*self.inputs, *(file for files in self.needs_files.values() for file in files)]
        values = list(self.needs.values())
        match self.piece:
            case Items(values=value):
                values.append(value)
            case Files(files=more):
                files.extend(more)
            case Rows(file=file):
                files.append(file)
            case Merge(parts=parts):
                values.extend(part.result for part in parts)
                files.extend(file for part in parts for file in part.files)
            case Whole():
                pass
        found.update((file.blob.sha256, file.blob.size) for file in files)
        found.update((value.blob.sha256, value.blob.size) for value in values if value.blob)
        return found
