"""The job memory: one shared, sealed piece of memory through which a child gets its job and gives its report.

Layout: 8 bytes length of the report with its result (0: none yet), 8 bytes length of the head, then the head
and what follows it: of a job its inline values, of a report the result. The child reads what it needs, and at
its end writes the report over it, the length last. Only the child and the worker open it; what the child
wrote is read as data, never unpickled.
"""

from __future__ import annotations

import os
import struct
from typing import Annotated, Any, Final, Literal

import msgspec

LENGTHS: Final = struct.Struct("=QQ")
REPORT_OVERHEAD_BYTES: Final = 256 << 10
"""Room for a report beside the result itself: reason, detail and notes are cut to fit."""
SPARE_BYTES: Final = 1 << 20
SPARE_FILES: Final = 1024
"""Room in a work folder of bounded size for folders and temporary files beside what the limits count."""
MAX_FDS: Final = 200
"""Descriptors that travel with one job; the kernel's bound is 253."""


Size = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]
"""What the kernel takes for one: a number below zero would lift a limit."""


class Span(msgspec.Struct, frozen=True, array_like=True):
    """Where encoded bytes stand: descriptor number `file` of those sent along, or the job memory (-1)."""

    file: Annotated[int, msgspec.Meta(ge=-1, lt=MAX_FDS)]
    start: Size
    size: Size


class RowsJob(msgspec.Struct, frozen=True, array_like=True):
    """A batch of rows of one table."""

    name: str
    header: Span
    body: Span


class PartJob(msgspec.Struct, frozen=True, array_like=True):
    """One part of a merge: its result and the folder that holds its files."""

    result: Span
    folder: str


class Bounds(msgspec.Struct, frozen=True, array_like=True):
    """The limits that the child puts on itself or speaks of."""

    cpu_seconds: Annotated[float, msgspec.Meta(gt=0)]
    memory_megabytes: Size
    result_bytes: Size
    artifact_bytes: Size
    artifact_count: Size
    open_files: Size
    threads: Size


class Job(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Everything a child must know of its attempt."""

    source: Span
    bounds: Bounds
    mode: Literal["once", "items", "rows"] = "once"
    first: int = 0
    items: Span | None = None
    item_paths: tuple[str, ...] | None = None
    rows: RowsJob | None = None
    inputs: dict[str, str] = {}
    needs: dict[str, Span] = {}
    needs_files: dict[str, str] = {}
    parts: tuple[PartJob, ...] | None = None
    missing: dict[str, str] = {}


NO_SPACE = "no_space"
"""The kind of a report where the disk was full though no limit was reached: the worker's fault, not the code's."""


class Report(msgspec.Struct, frozen=True, array_like=True):
    """How the code ended, as the child tells it; `has_result`: the rest of the memory holds JSON."""

    kind: str
    reason: str = ""
    detail: str = ""
    notes: tuple[str, ...] = ()
    per_item: bool = False
    has_result: bool = False


class Bytes:
    """The encoded values of a job, read from the job memory or from the descriptors sent along."""

    def __init__(self, memory: memoryview, inline_start: int, fds: list[int]) -> None:
        self._inline = memory[inline_start:]
        self._fds = fds

    def read(self, span: Span) -> bytes:
        if span.file < 0:
            value = bytes(self._inline[span.start : span.start + span.size])
            if len(value) != span.size:
                raise EOFError("a value is not where the job says")
            return value
        pieces: list[bytes] = []
        position, stop = span.start, span.start + span.size
        while position < stop:
            piece = os.pread(self._fds[span.file], min(stop - position, 1 << 24), position)
            if not piece:
                raise EOFError("an input ended before its stated size")
            pieces.append(piece)
            position += len(piece)
        return b"".join(pieces)

    def value(self, span: Span) -> Any:
        return msgspec.json.decode(self.read(span))

    def close(self) -> None:
        """Close the descriptors: the code shall not have them."""
        for fd in self._fds:
            os.close(fd)


_JOBS: Final = msgspec.msgpack.Decoder(Job)
_REPORTS: Final = msgspec.msgpack.Decoder(Report)
_ENCODER: Final = msgspec.msgpack.Encoder()


def encode_job(job: Job, inline: bytes) -> bytes:
    """The first bytes of the job memory. Spans of inline values count from the end of the head."""
    head = _ENCODER.encode(job)
    return LENGTHS.pack(0, len(head)) + head + inline


def decode_job(memory: memoryview) -> tuple[Job, int]:
    """The job and where its inline values begin."""
    _, size = LENGTHS.unpack_from(memory)
    start = LENGTHS.size + size
    return _JOBS.decode(memory[LENGTHS.size : start]), start


def write_report(memory: memoryview, report: Report, result: bytes) -> None:
    """Put the report and the result in place; raises ValueError where they do not fit."""
    head = _ENCODER.encode(report)
    stop = LENGTHS.size + len(head)
    memory[LENGTHS.size : stop] = head
    memory[stop : stop + len(result)] = result
    LENGTHS.pack_into(memory, 0, len(head) + len(result), len(head))


def decode_report(data: bytes) -> Report:
    """Raises msgspec.DecodeError or UnicodeDecodeError where these are not the bytes of a report."""
    return _REPORTS.decode(data)
