"""The task process, from the fork to the code: every step of confinement in order, or the end.

A step that fails ends the process at once; nothing goes on weaker. The worker learns over the status pipe
that all steps were done (READY) or which one failed, and that pipe is closed before the code runs.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import io
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Final, NoReturn

from nadg.domain.errors import UserError
from nadg.sandbox import contract
from nadg.sandbox.job import Job, Report, decode_job, write_report
from nadg.sandbox.layers import bpf, landlock, privileges, rlimits, seccomp
from nadg.sandbox.layers.syscalls import Machine
from nadg.sandbox.memory import map_shared

READY: Final = b"\x01"
"""What the status pipe carries when every layer is on; anything else names the step that failed."""
SETUP_FAILED_STATUS: Final = 117
_BUFFERED: Final = (io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom)


class Zygote:
    """What a child inherits ready-made: rights to what every task may use, the finished filter, sizes."""

    def __init__(self, *, pid: int, machine: Machine | None, landlock_abi: int) -> None:
        self.pid = pid
        self.machine = machine
        self.landlock_abi = landlock_abi
        self.filter: bpf.Filter | None = None
        self.grants: tuple[landlock.Grant, ...] = ()
        self.mapped_bytes = 0
        self.adopts_orphans = False


class Child:
    """One task being set up: what it inherits, its descriptors, and its job once that is read."""

    def __init__(self, zygote: Zygote, memory_bytes: int, fds: Sequence[int]) -> None:
        self.zygote = zygote
        self.memory_bytes = memory_bytes
        self.job_fd, self.stdout_fd, self.stderr_fd, self.status_fd, *self.value_fds = fds
        self.memory = memoryview(b"")
        self.inline_start = 0
        self.job: Job | None = None

    @property
    def known_job(self) -> Job:
        if self.job is None:
            raise RuntimeError("the job was not read")
        return self.job


Step = Callable[[Child], None]


def take_streams(child: Child) -> None:
    """An empty stdin of its own; stdout and stderr to the worker."""
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(child.stdout_fd, 1)
    os.dup2(child.stderr_fd, 2)


def leave_session(child: Child) -> None:
    """No terminal, no process group shared with anyone, no signal handler of the zygote."""
    os.setsid()
    if not hasattr(os, "pidfd_open"):  # else the zygote has no handler
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def read_job(child: Child) -> None:
    child.memory = map_shared(child.job_fd, child.memory_bytes)
    child.job, child.inline_start = decode_job(child.memory)


def enter_folder(child: Child) -> None:
    """The empty work folder becomes the current one; temporary files and settings go beside it."""
    folder = child.known_job.folder
    os.chdir(f"{folder}/work")
    os.environ["TMPDIR"] = os.environ["HOME"] = f"{folder}/tmp"
    tempfile = sys.modules.get("tempfile")
    if tempfile is not None:
        vars(tempfile)["tempdir"] = None  # the zygote's is not this task's
    sys.path.append(f"{folder}/work")


def limit_resources(child: Child) -> None:
    rlimits.limit_task(child.known_job.bounds, child.zygote.mapped_bytes + child.memory_bytes)


def give_up_privileges(child: Child) -> None:
    """The zygote gave up its own for itself and all its children; what a fork does not carry over is done here."""
    privileges.require_given_up()
    privileges.die_with(child.zygote.pid)
    privileges.hide_from_tracers()


def reseed(child: Child) -> None:
    """numpy's global generator would give every child the same numbers; `random` reseeds itself."""
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()


def restrict_files(child: Child) -> None:
    """Only the Python installation and the given files can be read, only work and tmp written."""
    job, ruleset = child.known_job, common_ruleset(child.zygote)
    ruleset.allow([landlock.writing(f"{job.folder}/work"), landlock.writing(f"{job.folder}/tmp")])
    if job.has_given:
        ruleset.allow([landlock.reading(f"{job.folder}/given")])
    ruleset.enter()


def common_ruleset(zygote: Zygote) -> landlock.Ruleset:
    """What every task may use, to be added to."""
    if zygote.machine is None:
        raise OSError("no system call table for this machine")
    ruleset = landlock.Ruleset(zygote.machine, zygote.landlock_abi)
    ruleset.allow(zygote.grants)
    return ruleset


def close_descriptors(child: Child) -> None:
    """Everything inherited, except the streams and what is still to be read."""
    start = 3
    for kept in sorted((child.status_fd, *child.value_fds)):
        os.closerange(start, kept)
        start = kept + 1
    os.closerange(start, os.sysconf("SC_OPEN_MAX") if sys.platform != "linux" else 1 << 20)


def filter_calls(child: Child) -> None:
    if child.zygote.filter is None:
        raise OSError("no system call filter was built")
    seccomp.enter(child.zygote.filter, os.getpid())


def report_ready(child: Child) -> None:
    os.write(child.status_fd, READY)
    os.close(child.status_fd)
    child.status_fd = -1


_ALWAYS_FIRST: Final = (take_streams, leave_session, read_job, enter_folder, limit_resources)
STEPS: Final[dict[str, tuple[Step, ...]]] = {
    "landlock": (
        *_ALWAYS_FIRST,
        give_up_privileges,
        reseed,
        restrict_files,
        close_descriptors,
        filter_calls,
        report_ready,
    ),
    "none": (*_ALWAYS_FIRST, reseed, close_descriptors, report_ready),
}
"""The steps of each tier, in order."""


def run_child(child: Child, steps: Sequence[Step]) -> NoReturn:
    """Take every step, run the code, leave. Never returns to the zygote's loop, whatever happens."""
    status, place = SETUP_FAILED_STATUS, "start"
    try:
        for step in steps:
            place = step.__name__
            step(child)
        status = _carry_out(child)
    except BaseException as error:  # noqa: BLE001 this process ends here; the reason goes to the worker
        if child.status_fd >= 0:
            with contextlib.suppress(OSError):
                os.write(child.status_fd, f"{place}: {error}"[:1000].encode("utf-8", "replace"))
    finally:
        os._exit(status)


def _carry_out(child: Child) -> int:
    """Run the code and leave its report; the exit status that a script of its kind would have."""
    finished = _run_code(child)
    _end_like_a_script()
    write_report(child.memory, finished.report, finished.result)
    return finished.exit_status


def _run_code(child: Child) -> contract.Finished:
    job, given = child.known_job, contract.Bytes(child.memory, child.inline_start, child.value_fds)
    try:
        source = given.read(job.source).decode()
        variables = contract.given_variables(job, given)
        items = contract.given_items(job, given) if job.mode == "items" else []
    except (UserError, ValueError, RecursionError) as error:
        return contract.Finished(Report(kind="failed", reason=f"what was given cannot be read: {error}"))
    except MemoryError:
        reason = f"memory limit of {job.bounds.memory_megabytes} MiB reached while reading what was given"
        return contract.Finished(Report(kind="limit", reason=reason))
    finally:
        for fd in child.value_fds:
            os.close(fd)
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
    for thing in gc.get_objects():
        if type(thing) in _BUFFERED:
            with contextlib.suppress(Exception):
                thing.flush()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
