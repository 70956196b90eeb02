"""Reads how an attempt ended, from the kernel's status, the set-up pipe and the child's report, in that order.

The report is the code's own word: it can say that the code failed, or give a result, but what the kernel
or the worker saw goes before it.
"""

from __future__ import annotations

import math
import os
import re
import signal
from itertools import accumulate
from typing import Final, NamedTuple

import msgspec

from nadg.domain.limits import Limits
from nadg.domain.outcome import OutcomeKind
from nadg.sandbox import protocol
from nadg.sandbox.attempt import RunningAttempt, Verdict
from nadg.sandbox.contract import size_text
from nadg.sandbox.job import LENGTHS, NO_SPACE, REPORT_OVERHEAD_BYTES, decode_report
from nadg.sandbox.process import Exit
from nadg.sandbox.result import MAX_DEPTH

_MAX_DIGITS: Final = 4300
"""As many as Python reads back into an integer by default."""
_LONG_NUMBER: Final = re.compile(rb"[0-9]{%d}" % (_MAX_DIGITS + 1))
_NO_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))
_TOO_DEEP: Final = f"result is nested deeper than {MAX_DEPTH} levels; give flatter data"
_SLICE: Final = 1 << 15
_STEP: Final = tuple(1 if byte == ord("[") else -1 for byte in range(256))
_ONE_KIND: Final = bytes.maketrans(b"{}", b"[]")
_TEXT: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
"""Takes back nothing that it has matched: that would keep a hundred bytes for each character of a text."""


_REASON_CHARACTERS: Final = 1000
_DETAIL_CHARACTERS: Final = 20_000
_MAX_NOTES: Final = 20
"""Somewhat more than the child's own report ever has of each."""


class Reading(NamedTuple):
    """What came of an attempt, before its result and files are stored."""

    kind: OutcomeKind
    reason: str = ""
    detail: str = ""
    exit_code: int | None = None
    result: bytes | None = None
    per_item: bool = False
    notes: tuple[str, ...] = ()


def read_ending(attempt: RunningAttempt, memory_fd: int, memory_bytes: int) -> Reading:
    """Judge an attempt whose process is gone."""
    limits, exit_, said = attempt.limits, attempt.process.exit, attempt.process.said
    if exit_ is None:
        verdict = attempt.verdict or Verdict("crashed", "the sandbox process was lost")
        return Reading(verdict.kind, verdict.reason)
    code = os.waitstatus_to_exitcode(exit_.wait_status)
    exit_code = code if code >= 0 else 128 - code
    if attempt.verdict is not None:
        return Reading(attempt.verdict.kind, attempt.verdict.reason, exit_code=exit_code)
    if code == -signal.SIGKILL and attempt.process.has_run_out_of_memory:
        return Reading("limit", f"memory limit of {limits.memory_megabytes} MiB reached", exit_code=exit_code)
    if said != protocol.SET_UP:
        step = said.decode("utf-8", "replace") or _signal_text(code)
        return Reading("crashed", f"the sandbox could not be set up: {step}", exit_code=exit_code)
    if code < 0:
        return _ended_by_signal(-code, exit_, limits)._replace(exit_code=exit_code)
    return _from_report(memory_fd, memory_bytes, code, limits)._replace(exit_code=exit_code)


def _ended_by_signal(number: int, exit_: Exit, limits: Limits) -> Reading:
    out_of_time = exit_.cpu_seconds >= math.ceil(limits.cpu_seconds) - 0.1
    if number == signal.SIGXCPU or (number == signal.SIGKILL and out_of_time):
        return Reading("limit", f"CPU time limit of {limits.cpu_seconds:g} s reached")
    if number == signal.SIGXFSZ:
        return Reading("limit", f"artifact limit of {size_text(limits.artifact_bytes)} reached by one file")
    if number == signal.SIGKILL:
        return Reading("crashed", "killed by the system, most likely because the machine ran out of memory")
    return Reading("failed", _signal_text(-number))


def _signal_text(code: int) -> str:
    if code >= 0:
        return f"it ended with status {code}"
    try:
        return f"ended by signal {signal.Signals(-code).name}"
    except ValueError:
        return f"ended by signal {-code}"


def _from_report(memory_fd: int, memory_bytes: int, status: int, limits: Limits) -> Reading:
    total, head_size = LENGTHS.unpack(os.pread(memory_fd, LENGTHS.size, 0))
    if total == 0:
        return Reading("failed", f"the code exited with status {status} before it was finished")
    if total > memory_bytes - LENGTHS.size or head_size > min(total, REPORT_OVERHEAD_BYTES):
        return Reading("failed", "the code overwrote its own report")
    try:
        report = decode_report(os.pread(memory_fd, head_size, LENGTHS.size))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Reading("failed", "the code overwrote its own report")
    notes = tuple(_one_line(note) for note in report.notes[:_MAX_NOTES])
    if report.kind == NO_SPACE:
        return Reading("crashed", "the worker's disk is full", report.detail[:_DETAIL_CHARACTERS], notes=notes)
    if report.kind != "succeeded":
        kind: OutcomeKind = "limit" if report.kind == "limit" else "failed"
        return Reading(kind, _one_line(report.reason), report.detail[:_DETAIL_CHARACTERS], notes=notes)
    result = os.pread(memory_fd, total - head_size, LENGTHS.size + head_size) if report.has_result else b"null"
    if len(result) > limits.result_bytes:
        return Reading("limit", f"result limit of {size_text(limits.result_bytes)} reached")
    return Reading("succeeded", result=result, per_item=report.per_item, notes=notes)


def _one_line(text: str) -> str:
    """As the child's own report has its sentences; code that writes its own may have put anything there."""
    return " ".join(text[:_REASON_CHARACTERS].split())


def result_problem(data: bytes) -> str:
    """Why these bytes cannot be handed on as a JSON result; empty where they can.

    The child's encoder makes none of these mistakes; code that writes into its own memory may. That it is JSON is
    looked at first: where texts do not end, to look for them takes time that grows with the square of the size.
    """
    try:
        data.decode("utf-8")
        msgspec.json.decode(data, type=msgspec.Raw)
    except RecursionError:
        return _TOO_DEEP
    except ValueError:
        return "the result is not JSON"
    if len(data) > _MAX_DIGITS and _LONG_NUMBER.search(_TEXT.sub(b"", data)):
        return f"the result holds a number of more than {_MAX_DIGITS} digits"
    return _TOO_DEEP if _is_too_deep(data) else ""


def _is_too_deep(data: bytes) -> bool:
    """Whether brackets nest too deep. Looked at in slices: other threads have their turn between two of them."""
    if data.count(b"[") + data.count(b"{") <= MAX_DEPTH:
        return False
    brackets = _TEXT.sub(b"", data).translate(_ONE_KIND, _NO_BRACKETS)
    depth = 0
    for start in range(0, len(brackets), _SLICE):
        part = brackets[start : start + _SLICE]
        opened = part.count(b"[")
        if depth + opened > MAX_DEPTH and max(accumulate(map(_STEP.__getitem__, part), initial=depth)) > MAX_DEPTH:
            return True
        depth += 2 * opened - len(part)
    return False
