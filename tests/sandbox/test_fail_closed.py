"""A step of the set-up that fails ends the child: no code runs, and the worker learns which step it was."""

from __future__ import annotations

import json
import os
import socket
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import pytest

from nadg.domain.errors import SandboxUnavailable
from nadg.domain.tier import Tier
from nadg.sandbox import Policy, Sandbox, child, linux, protocol
from nadg.sandbox.attempt import RunningAttempt
from nadg.sandbox.ending import read_ending
from nadg.sandbox.job import Bounds, Job, Span, encode_job
from nadg.sandbox.lane import Lane
from nadg.sandbox.layers import landlock, namespaces, privileges, seccomp
from nadg.sandbox.layers.syscalls import this_machine
from nadg.sandbox.memory import create_memory
from nadg.sandbox.policy import TASK_UID
from nadg.sandbox.process import Exit, TaskProcess, received

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the landlock tier is Linux's")
TIERS = ("namespaces", "landlock")
EVERY_STEP = [(tier, step) for tier in TIERS for step in child.STEPS[tier]]


@pytest.fixture
def folder(short_folder: Path) -> Path:
    made = Path(tempfile.mkdtemp(dir=short_folder)) / "lanes" / "1"
    made.mkdir(parents=True)
    made.parent.parent.chmod(0o755)
    return made


def _run_steps(folder: Path, tier: str, steps: Sequence[child.Step]) -> tuple[int, bytes, bool]:
    """A forked child with these steps: its wait status, what it told of its set-up, and whether the code ran."""
    for name in ("work", "tmp", "given"):
        (folder / name).mkdir()
    if os.geteuid() == 0:
        for path in (folder.parent, folder, *folder.iterdir()):
            os.chown(path, TASK_UID, TASK_UID)
    source = b"open('ran', 'w').close()"
    job = Job(source=Span(-1, 0, len(source)), bounds=Bounds(5, 64, 1024, 1024, 10, 64, 8))
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs, create_memory(encode_job(job, source), 1 << 20) as memory:
        socket.send_fds(ours, [protocol.JOB.pack(1 << 20)], [memory])
        pid = os.fork()
        if pid == 0:
            _be_zygote(folder, tier, steps, theirs.fileno())
        theirs.close()
        _, status = os.waitpid(pid, 0)
        told = received(ours)
    for _, fds in told:
        for fd in fds:
            ran = os.listdir(fd) == ["ran"]  # noqa: PTH208 a path has no descriptor
            os.close(fd)
            return status, told[-1][0], ran
    return status, told[-1][0], (folder / "work" / "ran").exists()


def _be_zygote(folder: Path, tier: str, steps: Sequence[child.Step], channel_fd: int) -> NoReturn:
    """As a zygote of this tier does: give up rights, and carry out one task in a process of its own."""
    status = 99
    try:
        machine = this_machine()
        assert machine is not None
        zygote = child.Zygote(pid=os.getpid(), machine=machine, landlock_abi=landlock.abi_version(machine))
        zygote.filter = seccomp.build_filter(machine)
        zygote.mapped_bytes = 1 << 40
        if os.geteuid() == 0:
            privileges.become(TASK_UID)
            linux.prctl(linux.PR_SET_DUMPABLE, 1)
        if tier == "namespaces":
            namespaces.enter_for_zygote()
            linux.mount(b"none", b"/", None, linux.MS_REC | linux.MS_PRIVATE)
            zygote.pid, zygote.namespaces = 0, namespaces.TaskNamespaces()
            zygote.namespaces.open_pids()
            privileges.forbid_new_ones()
        else:
            zygote.pid = os.getpid()
            privileges.give_up_for_good()
        null = os.open(os.devnull, os.O_WRONLY)
        task = os.fork()
        if task == 0:
            child.run_child(child.Child(zygote, str(folder), [channel_fd, null, null]), steps)
        status = os.waitstatus_to_exitcode(os.waitpid(task, 0)[1])
    finally:
        os._exit(status)


def _failing(step: child.Step) -> child.Step:
    def fail(_child: child.Child) -> None:
        raise OSError(f"injected into {step.__name__}")

    fail.__name__ = step.__name__
    return fail


def _refuse() -> None:
    raise PermissionError("privileges were not given up")


@pytest.mark.parametrize("tier", TIERS)
def test_with_all_steps_the_code_runs(folder: Path, tier: str) -> None:
    status, told, ran = _run_steps(folder, tier, child.STEPS[tier])
    assert (status, told, ran) == (0, protocol.SET_UP, True)


@pytest.mark.parametrize(("tier", "broken"), EVERY_STEP, ids=lambda one: getattr(one, "__name__", str(one)))
def test_no_code_runs_after_a_failed_step(folder: Path, tier: str, broken: child.Step) -> None:
    steps = [_failing(step) if step is broken else step for step in child.STEPS[tier]]
    status, told, ran = _run_steps(folder, tier, steps)
    assert not ran
    assert os.waitstatus_to_exitcode(status) == child.SETUP_FAILED_STATUS
    assert told == f"{broken.__name__}: injected into {broken.__name__}".encode()


@pytest.mark.parametrize("exception", [KeyboardInterrupt, SystemExit, MemoryError, RecursionError])
def test_no_exception_falls_through(folder: Path, exception: type[BaseException]) -> None:
    def fail(_child: child.Child) -> None:
        raise exception

    steps = child.STEPS["landlock"]
    status, _, ran = _run_steps(folder, "landlock", [*steps[:7], fail, *steps[7:]])
    assert not ran
    assert os.waitstatus_to_exitcode(status) == child.SETUP_FAILED_STATUS


@pytest.mark.parametrize(
    ("spoil", "step"),
    [
        (lambda zygote: setattr(zygote, "filter", None), "filter_calls"),
        (lambda zygote: setattr(zygote, "landlock_abi", 2), "list_files"),
        (lambda zygote: setattr(zygote, "machine", None), "list_files"),
        (lambda zygote: setattr(zygote, "grants", (landlock.Grant(999, 4),)), "list_files"),
        (lambda zygote: setattr(zygote, "pid", 1), "protect"),
        (lambda _: setattr(privileges, "require_given_up", _refuse), "restrict_files"),
    ],
)
def test_a_layer_that_cannot_be_put_on_ends_the_child(
    folder: Path, spoil: Callable[[child.Zygote], None], step: str
) -> None:
    def spoiled(one: child.Child) -> None:
        spoil(one.zygote)

    status, told, ran = _run_steps(folder, "landlock", [spoiled, *child.STEPS["landlock"]])
    assert not ran
    assert os.waitstatus_to_exitcode(status) == child.SETUP_FAILED_STATUS
    assert told.decode().startswith(step)


def test_a_failed_set_up_is_the_sandboxs_fault(box: Any) -> None:
    """It is tried elsewhere, whatever status the child ended with."""

    async def judge() -> Any:
        lane = Lane(Path(tempfile.mkdtemp(dir=box.root)) / "lane", None, may_link=True, is_on_disk=True)
        process = TaskProcess(lane)
        process.said = b"restrict_files: no"
        process.exited(Exit(child.SETUP_FAILED_STATUS << 8, 0.0, 0))
        attempt = RunningAttempt(box.sandbox._policy.caps, process)
        process.close()
        lane.close()
        return read_ending(attempt, -1, 0)

    reading = box.runner.run(judge())
    assert (reading.kind, reading.reason) == ("crashed", "the sandbox could not be set up: restrict_files: no")


def test_what_cannot_be_had_is_one_clear_error(box: Any) -> None:
    sandbox = Sandbox(Policy(tier=Tier.NONE), box.root / "none", box.blobs)
    try:
        with pytest.raises(SandboxUnavailable, match="set allow_none"):
            box.runner.run(sandbox.__aenter__())
    finally:
        assert list((box.root / "none").iterdir()) == []


def test_the_probe_report_tells_what_was_proven(box: Any) -> None:
    report = box.sandbox.report
    assert report.tier is box.sandbox.tier is Tier.LANDLOCK
    assert len(report.escapes_refused) == 9
    assert report.landlock_abi >= landlock.MINIMUM_ABI


def test_tier_none_runs_only_when_allowed_and_says_so(open_box: Any) -> None:
    box = open_box(tier=Tier.NONE, allow_none=True)
    assert box.sandbox.tier is Tier.NONE
    assert "nothing is isolated" in box.sandbox.report.remarks[-1]
    forked = box.run("import os, time\npid = os.fork()\nif pid == 0: time.sleep(60)\nresult = pid")
    with pytest.raises(ProcessLookupError):
        os.kill(json.loads(forked.result.inline), 0)
    assert box.run("x = bytearray(1 << 30)").reason == "memory limit of 512 MiB reached"
