"""Turns a request into a job: values gathered behind one another, files placed where the code may read them.

A file is hard-linked into the attempt's own folder where the tasks' user may read it, else copied. A value
that stands in a file travels as an open descriptor, so its bytes are read only by the child that needs them.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from nadg.domain.errors import UserError
from nadg.domain.limits import Limits
from nadg.sandbox import job as jobs
from nadg.sandbox.job import Bounds, Job, PartJob, RowsJob, Span
from nadg.sandbox.lane import Lane
from nadg.sandbox.request import Request, RowsGiven

_INLINE: Final = -1


class Placed:
    """A job with its inline values and its open descriptors, which the caller closes."""

    def __init__(self) -> None:
        self.inline = bytearray()
        self.fds: list[int] = []
        self._spill: int | None = None

    def add(self, value: bytes | Path) -> Span:
        """Keep a value for the child; where it will be found."""
        if isinstance(value, bytes):
            self.inline += value
            return Span(_INLINE, len(self.inline) - len(value), len(value))
        fd = os.open(value, os.O_RDONLY | os.O_CLOEXEC)
        size = os.fstat(fd).st_size
        if len(self.fds) < jobs.MAX_FDS - 1:
            self.fds.append(fd)
            return Span(len(self.fds) - 1, 0, size)
        try:
            return self._add_to_spill(fd, size)
        finally:
            os.close(fd)

    def _add_to_spill(self, fd: int, size: int) -> Span:
        """More values than descriptors can travel: the rest is copied into one unnamed file."""
        if self._spill is None:
            with tempfile.TemporaryFile() as made:
                self.fds.append(os.dup(made.fileno()))
            self._spill = len(self.fds) - 1
        into = self.fds[self._spill]
        start = os.lseek(into, 0, os.SEEK_END)
        with open(fd, "rb", closefd=False) as source, open(into, "ab", closefd=False) as spill:
            shutil.copyfileobj(source, spill, 1 << 20)
        return Span(self._spill, start, size)

    def close(self) -> None:
        while self.fds:
            os.close(self.fds.pop())


def has_files(request: Request) -> bool:
    """Whether anything must be read or placed: then `place` may block for as long as copying takes."""
    return bool(
        request.inputs or request.item_files or request.needs_files or request.rows or request.parts
    ) or any(isinstance(value, Path) for value in (request.items, *request.needs.values()))


def place(request: Request, limits: Limits, lane: Lane, placed: Placed) -> Job:
    """Make the job of a request. Raises UserError on a name that no file can have, OSError on a lost file."""
    files = _GivenFiles(lane)
    return Job(
        source=placed.add(request.source.encode("utf-8", "surrogatepass")),
        bounds=_bounds(limits),
        mode=request.mode,
        first=request.first,
        items=placed.add(request.items) if request.items is not None else None,
        item_paths=tuple(
            files.place_one(f"items/{index}", name, path) for index, (name, path) in enumerate(request.item_files)
        )
        if request.item_files
        else None,
        rows=_rows_job(request.rows, placed) if request.rows is not None else None,
        inputs={name: files.place_one("inputs", name, path) for name, path in request.inputs.items()},
        needs={name: placed.add(value) for name, value in request.needs.items()},
        needs_files={name: files.place_all(f"needs/{name}", given) for name, given in request.needs_files.items()},
        parts=tuple(
            PartJob(placed.add(part.result), files.place_all(f"parts/{index}", part.files))
            for index, part in enumerate(request.parts)
        )
        if request.parts
        else None,
        missing=request.missing,
    )


def _rows_job(rows: RowsGiven, placed: Placed) -> RowsJob:
    whole = placed.add(rows.path)
    header = Span(whole.file, whole.start, rows.header_stop)
    body = Span(whole.file, whole.start + rows.start, rows.stop - rows.start)
    return RowsJob(rows.name, header, body)


def _bounds(limits: Limits) -> Bounds:
    return Bounds(
        cpu_seconds=limits.cpu_seconds,
        memory_megabytes=limits.memory_megabytes,
        result_bytes=limits.result_bytes,
        artifact_bytes=limits.artifact_bytes,
        artifact_count=limits.artifact_count,
        open_files=limits.open_files,
        threads=limits.threads,
    )


class _GivenFiles:
    """The `given` folder of an attempt."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane

    def place_all(self, folder: str, files: Mapping[str, Path]) -> str:
        """Place files below a folder of their own; its path as the task sees it."""
        checked = _checked(folder)
        self._folder(self._lane.given / checked)
        for name, path in files.items():
            self.place_one(folder, name, path)
        return str(self._lane.given_seen_at / checked)

    def place_one(self, folder: str, name: str, path: Path) -> str:
        """Place one file; its path as the task sees it."""
        place = Path(_checked(folder)) / _checked(name)
        target = self._lane.given / place
        self._folder(target.parent)
        self._link_or_copy(path, target)
        return str(self._lane.given_seen_at / place)

    def _folder(self, path: Path) -> Path:
        self._lane.placed_files += 1
        if not path.is_dir():
            self._folder(path.parent)
            self._lane.make_folder(path)
        return path

    def _link_or_copy(self, source: Path, target: Path) -> None:
        if self._lane.may_share(source.stat()):
            try:
                os.link(source, target)
            except FileExistsError as error:
                raise UserError(f"two given files are both called {target.name!r}") from error
            except OSError:
                pass  # another file system, or links are not allowed there: copy
            else:
                return
        shutil.copyfile(source, target)
        self._lane.give_to_task(target)


def _checked(name: str) -> str:
    """A relative name that stays where it is put. Raises UserError."""
    parts = name.split("/")
    if "\0" in name or any(part in ("", ".", "..") for part in parts):
        raise UserError(f"the name {name!r} cannot be used for a file; use a plain relative name")
    if any(len(os.fsencode(part)) > 255 for part in parts):
        raise UserError(f"the name {name[:60]!r}... is too long for a file; use at most 255 bytes")
    return name
