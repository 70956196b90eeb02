"""What a task process does once it is confined: it reads what was given, runs the code, and leaves its report."""

from __future__ import annotations

import atexit
import contextlib
import gc
import io
import os
import sys
from typing import Final

from nadg.domain.errors import UserError
from nadg.sandbox import contract
from nadg.sandbox.job import Bounds, Bytes, Job, Report, Span, decode_job, encode_job, write_report

_REHEARSAL_BYTES: Final = 1 << 12
_FIRST_AFTER_STREAMS: Final = 3
_BUFFERED: Final = (io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom)


def carry_out(job: Job, given: Bytes, memory: memoryview) -> int:
    """Run the code and leave its report in the memory; the exit status that a script of its kind would have."""
    finished = _run_code(job, given)
    _end_like_a_script()
    write_report(memory, finished.report, finished.result)
    return finished.exit_status


def a_rehearsal() -> bytes:
    """A job of our own, for `rehearse`."""
    source = b"result = [1, 'a']"
    bounds = Bounds(1, 64, 1 << 10, 1 << 10, 16, 16, 16)
    return encode_job(Job(source=Span(-1, 0, len(source)), bounds=bounds), source).ljust(_REHEARSAL_BYTES, b"\0")


def rehearse(rehearsal: bytes) -> None:
    """Go once through what every task does.

    In the zygote: what is built on first use (type tables, caches, larger dicts) is then shared by all tasks. In
    a task that waits for its job: the pages that it will write are copied before the job comes.
    """
    memory = memoryview(bytearray(rehearsal))
    job, start = decode_job(memory)
    given = Bytes(memory, start, [])
    own_main = sys.modules["__main__"]
    finished = contract.run(job, given.read(job.source).decode(), contract.given_variables(job, given), [])
    sys.modules["__main__"] = own_main
    gc.disable()
    write_report(memory, finished.report, finished.result)


def _run_code(job: Job, given: Bytes) -> contract.Finished:
    try:
        source = given.read(job.source).decode()
        variables = contract.given_variables(job, given)
        items = contract.given_items(job, given) if job.mode == "items" else []
    except (UserError, ValueError, RecursionError, EOFError, IndexError, OSError) as error:
        return contract.Finished(Report(kind="failed", reason=f"what was given cannot be read: {error}"))
    except MemoryError:
        reason = f"memory limit of {job.bounds.memory_megabytes} MiB reached while reading what was given"
        return contract.Finished(Report(kind="limit", reason=reason))
    finally:
        given.close()
    return contract.run(job, source, variables, items)


def _end_like_a_script() -> None:
    """What an interpreter does at its end and `_exit` does not: exit functions, closing files, flushing."""
    if atexit._ncallbacks():
        with contextlib.suppress(Exception):
            atexit._run_exitfuncs()
    main = sys.modules.get("__main__")
    if main is not None:
        vars(main).clear()
    flush_open_files()


def flush_open_files() -> None:
    """Write out what the code left in the buffers of files that it did not close, and of the streams."""
    if _may_have_files():
        for thing in gc.get_objects():
            if type(thing) in _BUFFERED:
                with contextlib.suppress(Exception):
                    thing.flush()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()


def _may_have_files() -> bool:
    """Whether a descriptor beyond the streams is open: to look at every object costs more than to ask that."""
    try:
        lowest_free = os.dup(1)
    except OSError:
        return True
    os.close(lowest_free)
    return lowest_free != _FIRST_AFTER_STREAMS
