"""The task process, from the fork to the code: every step of confinement in order, or the end.

A step that fails ends the process at once; nothing goes on weaker. Most steps are taken ahead of need, up to
`receive_job`, where the process waits. The worker learns over the channel that all steps were done (SET_UP)
or which one failed, and the channel is closed before the code runs.
"""

from __future__ import annotations

import _socket
import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from typing import Final, NoReturn

from nadg.sandbox import linux, protocol
from nadg.sandbox.carry_out import a_rehearsal, carry_out, rehearse
from nadg.sandbox.job import Bytes, Job, decode_job
from nadg.sandbox.layers import bpf, landlock, namespaces, privileges, rlimits, seccomp
from nadg.sandbox.layers.syscalls import Machine
from nadg.sandbox.memory import map_shared

SETUP_FAILED_STATUS: Final = 117
SAME_FOR_ALL: Final = b""
MAX_RULESETS: Final = 32
"""Lists of files that a zygote keeps; a lane that comes again later gets a new one."""


class Zygote:
    """What a child inherits ready-made: rights to what every task may use, the finished filter, sizes."""

    def __init__(self, *, pid: int, machine: Machine | None, landlock_abi: int) -> None:
        self.pid = pid
        """As its children see it: 0 where they have a pid namespace of their own."""
        self.machine = machine
        self.landlock_abi = landlock_abi
        self.filter: bpf.Filter | None = None
        self.grants: tuple[landlock.Grant, ...] = ()
        self.namespaces: namespaces.TaskNamespaces | None = None
        self.rulesets: dict[bytes, landlock.Ruleset] = {}
        """By lane, which serves one task after another."""
        self.rehearsal = a_rehearsal()
        self.mapped_bytes = 0
        self.adopts_orphans = False


class Child:
    """One task being set up: what it inherits, its lane and descriptors, and its job once that came."""

    __slots__ = (
        "channel",
        "channel_fd",
        "has_time",
        "inline_start",
        "job",
        "lane",
        "memory",
        "ruleset",
        "stderr_fd",
        "stdout_fd",
        "value_fds",
        "work_room",
        "zygote",
    )

    def __init__(
        self, zygote: Zygote, lane: bytes, has_time: bool, work_room: tuple[int, int], fds: Sequence[int]
    ) -> None:
        self.zygote = zygote
        self.lane = lane
        self.has_time = has_time
        self.work_room = work_room
        """Bytes and files of a work folder in memory."""
        self.channel_fd, self.stdout_fd, self.stderr_fd = fds
        self.channel = _socket.socket(fileno=self.channel_fd)  # its bare kind: a `socket.socket` is a slow thing
        self.value_fds: list[int] = []
        self.ruleset: landlock.Ruleset | None = None
        self.memory = memoryview(b"")
        self.inline_start = 0
        self.job: Job | None = None

    @property
    def known_job(self) -> Job:
        if self.job is None:
            raise RuntimeError("the job did not come yet")
        return self.job

    def release(self) -> None:
        """In the zygote, after the fork: close what belongs to the task alone."""
        self.channel.close()
        os.close(self.stdout_fd)
        os.close(self.stderr_fd)


Step = Callable[[Child], None]


class NoJob(Exception):
    """The worker let this process go before it had a job."""


def point_streams(child: Child) -> None:
    """An empty stdin of its own; stdout and stderr to the worker."""
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(child.stdout_fd, 1)
    os.dup2(child.stderr_fd, 2)
    os.close(null)


def name_folders(child: Child) -> None:
    """Temporary files and settings go beside the work folder, modules are looked for in it last."""
    name_own_folders(f"{os.fsdecode(child.lane)}/work", f"{os.fsdecode(child.lane)}/tmp")


def name_own_folders(work: str, tmp: str) -> None:
    os.environ["TMPDIR"] = os.environ["HOME"] = tmp
    tempfile.tempdir = None  # that of another task
    sys.path[-1] = work


def list_files(child: Child) -> None:
    """The Python installation and what is given are to be read, work and tmp to be written, and nothing else."""
    known = child.zygote.rulesets
    child.ruleset = known.get(child.lane)
    if child.ruleset is None:
        while len(known) >= MAX_RULESETS:
            known.pop(next(iter(known))).close()
        lane = os.fsdecode(child.lane)
        child.ruleset = known[child.lane] = ruleset_for(
            child.zygote, [f"{lane}/work", f"{lane}/tmp"], f"{lane}/given"
        )


def list_same_files(child: Child) -> None:
    """As `list_files`, where every task sees its folders in the same places."""
    child.ruleset = child.zygote.rulesets[SAME_FOR_ALL]


def ruleset_for(zygote: Zygote, writable: list[str], given: str) -> landlock.Ruleset:
    if zygote.machine is None:
        raise OSError("no system call table for this machine")
    ruleset = landlock.Ruleset(zygote.machine, zygote.landlock_abi)
    try:
        ruleset.allow(zygote.grants)
        for path in writable:
            ruleset.allow_once(landlock.writing(path))
        ruleset.allow_once(landlock.reading(given))
    except BaseException:
        ruleset.close()
        raise
    return ruleset


def enter_folder(child: Child) -> None:
    """The empty work folder becomes the current one."""
    os.chdir(child.lane + b"/work")


def leave_session(_child: Child) -> None:
    """No terminal, no process group shared with anyone, no signal handler of the zygote."""
    os.setsid()
    if not hasattr(os, "pidfd_open"):  # else the zygote has no handler
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def enter_namespaces(child: Child) -> None:
    """Namespaces of its own, and a work folder in memory that the worker is given a descriptor of."""
    namespaces = child.zygote.namespaces
    if namespaces is None:
        raise OSError("the zygote keeps no namespaces ready")
    namespaces.enter(child.lane, *child.work_room)
    work = os.open(namespaces.work, os.O_RDONLY | os.O_DIRECTORY)
    child.channel.sendmsg((protocol.WORK_FOLDER,), protocol.with_descriptor(work))
    os.fchdir(work)


def die_with_zygote(child: Child) -> None:
    """A fork does not carry this over."""
    privileges.die_with(child.zygote.pid)


def hide_from_tracers(_child: Child) -> None:
    """A zygote with namespaces cannot do this for its tasks: they write to their own place in /proc."""
    privileges.hide_from_tracers()


def reseed(_child: Child) -> None:
    """The generators of the zygote would give every child the same numbers."""
    for name in ("random", "numpy.random"):
        module = sys.modules.get(name)
        if module is not None:
            module.seed()


def practise(child: Child) -> None:
    """Do ahead what copies pages, where the machine is not busy with other tasks."""
    if child.has_time:
        rehearse(child.zygote.rehearsal)


def receive_job(child: Child) -> None:
    """Wait for the job. Raises NoJob where none will come."""
    message, ancillary, _, _ = child.channel.recvmsg(
        protocol.JOB.size + 1, protocol.DESCRIPTORS_BYTES, protocol.CLOEXEC
    )
    if not message:
        raise NoJob
    (memory_bytes,) = protocol.JOB.unpack(message)
    memory_fd, *child.value_fds = protocol.descriptors_in(ancillary)
    child.memory = map_shared(memory_fd, memory_bytes)
    close_all_but(child.channel_fd, *child.value_fds)  # the memory's own descriptors go too: it stays mapped
    child.job, child.inline_start = decode_job(child.memory)


def limit_resources(child: Child) -> None:
    bounds = child.known_job.bounds
    rlimits.limit_task(bounds, child.zygote.mapped_bytes + len(child.memory))
    if child.zygote.namespaces is not None:
        rlimits.limit_threads(bounds.threads)


def give_up_privileges(_child: Child) -> None:
    """What it took to make its namespaces, no task may keep."""
    linux.drop_capabilities()
    privileges.require_given_up()


def restrict_files(child: Child) -> None:
    """Put the list of files into force, for good."""
    if child.ruleset is None:
        raise OSError("no Landlock ruleset was made")
    child.ruleset.enter()


def close_descriptors(child: Child) -> None:
    """Everything inherited, except the streams and the channel."""
    close_all_but(child.channel_fd)


def close_all_but(*kept: int) -> None:
    start = 3
    for fd in sorted(kept):
        os.closerange(start, fd)
        start = fd + 1
    os.closerange(start, os.sysconf("SC_OPEN_MAX") if sys.platform != "linux" else 1 << 20)


def filter_calls(child: Child) -> None:
    if child.zygote.filter is None:
        raise OSError("no system call filter was built")
    seccomp.enter(child.zygote.filter, os.getpid())


def report_ready(child: Child) -> None:
    os.write(child.channel_fd, protocol.SET_UP)
    os.close(child.channel_fd)
    child.channel_fd = -1


_CLOSED: Final = (die_with_zygote, reseed, restrict_files, close_descriptors)
_LAST: Final = (practise, receive_job, limit_resources, filter_calls, report_ready)
BEFORE_FORK: Final[dict[str, tuple[Step, ...]]] = {
    "namespaces": (point_streams, list_same_files),
    "landlock": (point_streams, list_files, name_folders, enter_folder),
    "none": (point_streams, name_folders, enter_folder),
}
"""What the zygote does on behalf of the next task, which inherits it: there it costs a third, since no page of
memory has to be copied for it."""
STEPS: Final[dict[str, tuple[Step, ...]]] = {
    "namespaces": (leave_session, enter_namespaces, hide_from_tracers, give_up_privileges, *_CLOSED, *_LAST),
    "landlock": (leave_session, *_CLOSED, *_LAST),
    "none": (leave_session, reseed, close_descriptors, receive_job, limit_resources, report_ready),
}
"""The steps of the task itself, in order. Those up to `receive_job` are taken ahead of need: a task sees its job
with every right given up but those that the system calls themselves take, which the filter then cuts down."""


def run_child(child: Child, steps: Sequence[Step]) -> NoReturn:
    """Take every step, run the code, leave. Never returns to the zygote's loop, whatever happens."""
    status, taken = SETUP_FAILED_STATUS, -1
    try:
        for taken, step in enumerate(steps):  # noqa: B007 told where a step fails
            step(child)
        given = Bytes(child.memory, child.inline_start, child.value_fds)
        status = carry_out(child.known_job, given, child.memory)
    except NoJob:
        status = 0
    except BaseException as error:  # noqa: BLE001 this process ends here; the reason goes to the worker
        if child.channel_fd >= 0:
            with contextlib.suppress(OSError):
                told = f"{steps[taken].__name__}: {error}"[:1000]
                os.write(child.channel_fd, told.encode("utf-8", "replace"))
    finally:
        os._exit(status)
