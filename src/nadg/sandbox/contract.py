"""What the code sees and gives: its variables, its modes, and the report of how it ended.

Runs in the child, behind every layer. The code runs as `__main__`; in mode `items` once per item, each
time with fresh variables, so that it makes no difference which items share a process.
"""

from __future__ import annotations

import builtins
import errno
import gc
import os
import sys
import traceback
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from nadg.domain.errors import UserError
from nadg.domain.rows import read_rows
from nadg.sandbox.job import NO_SPACE, SPARE_BYTES, Bounds, Bytes, Job, Report
from nadg.sandbox.layers.rlimits import release_reserve
from nadg.sandbox.result import Unfit, encode_result

CODE_NAME: Final = "main.py"
"""What tracebacks call the code."""
_REASON_CHARACTERS: Final = 600
_DETAIL_CHARACTERS: Final = 16_000
_BUILTINS: Final = dict(vars(builtins))
_OWN_FOLDER: Final = str(Path(__file__).parent)


class Finished(NamedTuple):
    """The report and, where there is one, the encoded result."""

    report: Report
    result: bytes = b""
    exit_status: int = 0


class Fault(NamedTuple):
    """An exception of the code, told."""

    kind: str
    reason: str
    detail: str
    exit_status: int = 1


def given_variables(job: Job, given: Bytes) -> dict[str, Any]:
    """The variables of the contract; an item is set for each run."""
    variables: dict[str, Any] = {
        "inputs": job.inputs,
        "needs": job.needs and {name: given.value(span) for name, span in job.needs.items()},
        "needs_files": job.needs_files,
        "missing": job.missing,
    }
    if job.rows is not None:
        header, body = given.read(job.rows.header), given.read(job.rows.body)
        variables["rows"] = read_rows(job.rows.name, header, body)
    if job.parts is not None:
        parts = [{"result": given.value(part.result), "folder": part.folder} for part in job.parts]
        variables["parts"] = parts
    return variables


def given_items(job: Job, given: Bytes) -> list[Any]:
    """The items of mode `items`."""
    if job.item_paths is not None:
        return list(job.item_paths)
    values = given.value(job.items) if job.items is not None else []
    if not isinstance(values, list):
        raise UserError("the items are not a list")
    return values


def run(job: Job, source: str, variables: dict[str, Any], items: list[Any]) -> Finished:
    """Run the code to its end and say how it ended; never raises for what the code does."""
    try:
        code = compile(source, CODE_NAME, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return _failed(_fault(error, source, job))
    gc.enable()  # the zygote had it off
    try:
        if job.mode == "items":
            value: object = _run_items(job, code, source, variables, items)
        else:
            value = _run_code(code, variables)
        _wait_for_threads()
        _restore_builtins(source)
        return _succeeded(job, value, variables)
    except _ItemFailed as failed:
        return _failed(failed.fault)
    except BaseException as error:  # noqa: BLE001 the code may raise anything; all of it is reported
        _restore_builtins(source)
        return _failed(_fault(error, source, job))


def _restore_builtins(source: str) -> None:
    """Undo what the code may have done to the names that its report is made with.

    Only where it speaks of them: to touch all of them costs a tenth of a trivial attempt.
    """
    if "builtins" in source:
        vars(builtins).update(_BUILTINS)


class _ItemFailed(Exception):
    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.reason)
        self.fault = fault


def _run_items(
    job: Job, code: types.CodeType, source: str, variables: Mapping[str, Any], items: list[Any]
) -> list[object]:
    results: list[object] = []
    for index, item in enumerate(items, start=job.first):
        try:
            results.append(_run_code(code, {**variables, "item": item, "item_index": index}))
        except BaseException as error:  # noqa: BLE001 reported with the item's index
            fault = _fault(error, source, job)
            raise _ItemFailed(fault._replace(reason=f"item {index}: {fault.reason}")) from None
    return results


def _run_code(code: types.CodeType, variables: Mapping[str, Any]) -> object:
    """Execute as a new `__main__`; the value of its `result`."""
    module = types.ModuleType("__main__")
    namespace = vars(module)
    namespace.update(variables)
    sys.modules["__main__"] = module
    try:
        exec(code, namespace)
    except SystemExit as leaving:
        if leaving.code not in (None, 0):
            raise
    return namespace.get("result")


def _wait_for_threads() -> None:
    """Wait for what a script would wait for at its end: threads that are not daemons.

    Looked up, not imported: once `threading` is loaded every fork runs its hook, a quarter of a bare fork's cost.
    """
    threading = sys.modules.get("threading")
    if threading is not None and threading.active_count() > 1:
        threading._shutdown()  # as the interpreter does; also ends idle pools


def _succeeded(job: Job, value: object, variables: Mapping[str, Any]) -> Finished:
    try:
        encoded = encode_result(value)
    except Unfit as error:
        return _failed(Fault("failed", str(error), ""))
    if len(encoded.data) > job.bounds.result_bytes:
        return _failed(Fault("limit", f"result limit of {size_text(job.bounds.result_bytes)} reached", ""))
    rows = variables.get("rows")
    per_item = job.mode == "items" or (
        job.mode == "rows" and isinstance(rows, list) and encoded.length == len(rows)
    )
    report = Report(kind="succeeded", notes=encoded.notes, per_item=per_item, has_result=True)
    return Finished(report, encoded.data)


def _failed(fault: Fault) -> Finished:
    report = Report(kind=fault.kind, reason=fault.reason, detail=fault.detail)
    return Finished(report, exit_status=fault.exit_status)


def _fault(error: BaseException, source: str, job: Job) -> Fault:
    """The exception as a kind, one sentence and a traceback of the code's own frames."""
    line = _line_of(error)
    limit = _limit_behind(error, job)
    if isinstance(error, MemoryError):
        release_reserve()
        traceback.clear_frames(error.__traceback__)
        return Fault("limit", limit, f"MemoryError{line}")
    told = traceback.TracebackException.from_exception(error, compact=True, lookup_lines=False)
    detail = _detail(told, source)
    if limit:
        return Fault("limit", limit, detail)
    if isinstance(error, SystemExit):
        return _exit_fault(error, detail)
    if isinstance(error, UserError):
        return Fault("failed", _one_line(str(error)), detail)
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return Fault(NO_SPACE, "", detail)
    last = list(told.format_exception_only())
    text = last[-1] if isinstance(error, SyntaxError) else "".join(last)
    return Fault("failed", _one_line(text) + line, detail)


def _exit_fault(leaving: SystemExit, detail: str) -> Fault:
    """`sys.exit` with a status or, as the interpreter has it, a text for stderr."""
    if isinstance(leaving.code, int):
        status = leaving.code & 255
        return Fault("failed", f"the code exited with status {status} before it was finished", detail, status)
    print(leaving.code, file=sys.stderr)
    return Fault("failed", f"the code exited: {_one_line(str(leaving.code))}", detail, 1)


def _limit_behind(error: BaseException, job: Job) -> str:
    """The limit whose breach the code met as an exception, if it was one."""
    bounds = job.bounds
    if isinstance(error, MemoryError):
        return f"memory limit of {bounds.memory_megabytes} MiB reached"
    if isinstance(error, RuntimeError) and str(error).startswith("can't start new thread"):
        if len(sys._current_frames()) >= bounds.threads:
            return f"thread limit of {bounds.threads} reached"
        return f"memory limit of {bounds.memory_megabytes} MiB reached: no room for another thread"
    if isinstance(error, OSError) and error.errno == errno.EFBIG:
        return f"artifact limit of {size_text(bounds.artifact_bytes)} reached by one file"
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return _full_folder(bounds)
    if isinstance(error, OSError) and error.errno == errno.EMFILE:
        return f"open file limit of {bounds.open_files} reached"
    return ""


def _full_folder(bounds: Bounds) -> str:
    """Which limit a full work folder met, where it is in memory and of its own size; else the disk is full."""
    folder = os.statvfs(".")
    if folder.f_files and not folder.f_ffree:
        return f"artifact limit of {bounds.artifact_count} files reached"
    if folder.f_blocks * folder.f_frsize <= bounds.artifact_bytes + SPARE_BYTES:
        return f"artifact limit of {size_text(bounds.artifact_bytes)} reached"
    return ""


def _line_of(error: BaseException) -> str:
    if isinstance(error, SyntaxError) and error.filename == CODE_NAME and error.lineno:
        return f" (line {error.lineno})"
    line, step = 0, error.__traceback__
    while step is not None:
        if step.tb_frame.f_code.co_filename == CODE_NAME:
            line = step.tb_lineno
        step = step.tb_next
    return f" (line {line})" if line else ""


def _detail(told: traceback.TracebackException, source: str) -> str:
    """The traceback without the sandbox's own frames, cut in the middle where it is long."""
    import linecache  # here, because only failures need it

    linecache.cache[CODE_NAME] = (len(source), None, source.splitlines(keepends=True), CODE_NAME)
    seen: TracebackLink = told
    while seen is not None:
        seen.stack[:] = [frame for frame in seen.stack if not frame.filename.startswith(_OWN_FOLDER)]
        seen = seen.__cause__ or seen.__context__
    text = "".join(told.format())
    if len(text) > _DETAIL_CHARACTERS:
        half = _DETAIL_CHARACTERS // 2
        text = f"{text[:half]}\n...\n{text[-half:]}"
    return text.encode("utf-8", "backslashreplace").decode()


TracebackLink = traceback.TracebackException | None


def _one_line(text: str) -> str:
    flat = " ".join(text.split()).encode("utf-8", "backslashreplace").decode()
    return flat if len(flat) <= _REASON_CHARACTERS else flat[: _REASON_CHARACTERS - 3] + "..."


def size_text(size: int) -> str:
    """A number of bytes for people, in the largest binary unit that divides it."""
    for power, unit in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
        if size and size % (1 << power) == 0:
            return f"{size >> power} {unit}"
    return f"{size} bytes"
