"""A step of the set-up that fails ends the child: no code runs, and the worker learns which step it was."""

from __future__ import annotations

import json
import os
import socket
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from nadg.domain.errors import SandboxUnavailable
from nadg.domain.tier import Tier
from nadg.sandbox import Policy, Sandbox, child, linux, protocol
from nadg.sandbox.attempt import RunningAttempt
from nadg.sandbox.ending import read_ending
from nadg.sandbox.fork_server import ForkServer
from nadg.sandbox.job import Bounds, Job, Span, encode_job
from nadg.sandbox.lane import Lane
from nadg.sandbox.layers import landlock, namespaces, privileges, rlimits, seccomp
from nadg.sandbox.layers.syscalls import this_machine
from nadg.sandbox.memory import create_memory
from nadg.sandbox.policy import TASK_UID
from nadg.sandbox.process import Exit, TaskProcess, received

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the landlock tier is Linux's")
TIERS = ("namespaces", "landlock")
REFUSED = -1
"""In place of a wait status: the zygote made no process."""
EVERY_STEP = [(tier, step) for tier in TIERS for step in (*child.BEFORE_FORK[tier], *child.STEPS[tier])]
Change = Callable[[list[child.Step]], list[child.Step]]


@pytest.fixture
def folder(short_folder: Path) -> Path:
    made = Path(tempfile.mkdtemp(dir=short_folder))
    lane = made / "attempts" / "lanes" / "1"
    for part in (lane, made / "given" / "here"):
        part.mkdir(parents=True)
    return lane


def _run(folder: Path, tier: str, change: Change = list) -> tuple[int, str, bool]:
    """One task of a fork server whose steps are changed: its wait status, what was told, whether the code ran."""
    for name in ("work", "tmp", "given"):
        (folder / name).mkdir()
    if os.geteuid() == 0:
        for path in (folder.parents[2], *folder.parents[2].rglob("*")):
            os.chown(path, TASK_UID, TASK_UID)
    source = b"open('ran', 'w').close()"
    job = Job(source=Span(-1, 0, len(source)), bounds=Bounds(5, 64, 1024, 1024, 10, 64, 8))
    control, its_control = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    channel, its_channel = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = os.fork()
    if pid == 0:
        control.close()
        _be_zygote(folder.parents[2], its_control, tier, change)
    its_control.close()
    null = os.open(os.devnull, os.O_WRONLY)
    with control, channel, create_memory(encode_job(job, source), 1 << 20) as memory:
        socket.send_fds(channel, [protocol.JOB.pack(1 << 20)], [memory])
        order = [protocol.FORK.pack(7, True, 1024, 10), os.fsencode(folder)]
        socket.send_fds(control, order, [its_channel.fileno(), null, null])
        its_channel.close()
        os.close(null)
        status, refusal = _ending(control)
        control.close()
        os.waitpid(pid, 0)
        told = received(channel) or [(refusal.encode(), [])]
    work = [fd for _, fds in told for fd in fds] or [os.open(folder / "work", os.O_RDONLY)]
    ran = os.listdir(work[0]) == ["ran"]  # noqa: PTH208 a path has no descriptor
    os.close(work[0])
    return status, told[-1][0].decode("utf-8", "replace"), ran


def _ending(control: socket.socket) -> tuple[int, str]:
    """The wait status that the zygote tells, or its refusal."""
    while message := control.recv(4096):
        if message[:1] == b"X":
            return int(protocol.EXITED.unpack(message)[2]), ""
        if message[:1] == b"N":
            return REFUSED, message[protocol.REFUSED.size :].decode()
    raise AssertionError("the zygote ended without a word")


def _be_zygote(sandbox: Path, control: socket.socket, tier: str, change: Change) -> NoReturn:
    """As a zygote of this tier does: give up rights, and serve."""
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
            zygote.pid = 0
            zygote.namespaces = namespaces.TaskNamespaces(str(sandbox))
            privileges.forbid_new_ones()
            listed = child.ruleset_for(zygote, [zygote.namespaces.writable], zygote.namespaces.readable)
            zygote.rulesets[child.SAME_FOR_ALL] = listed
        else:
            privileges.give_up_for_good()
        server = ForkServer(control, zygote, tier)
        before = len(child.BEFORE_FORK[tier])
        steps = change([*child.BEFORE_FORK[tier], *child.STEPS[tier]])
        server._before, server._steps = tuple(steps[:before]), tuple(steps[before:])
        server.serve()
    finally:
        os._exit(99)


def _failing(step: child.Step) -> child.Step:
    def fail(_child: child.Child) -> None:
        raise OSError(f"injected into {step.__name__}")

    fail.__name__ = step.__name__
    return fail


def _refuse(*_: object) -> None:
    raise PermissionError("no")


@pytest.mark.parametrize("tier", TIERS)
def test_with_all_steps_the_code_runs(folder: Path, tier: str) -> None:
    assert _run(folder, tier) == (0, protocol.SET_UP.decode(), True)


@pytest.mark.parametrize(("tier", "broken"), EVERY_STEP, ids=lambda one: getattr(one, "__name__", str(one)))
def test_42_no_code_runs_after_a_failed_step(folder: Path, tier: str, broken: child.Step) -> None:
    status, told, ran = _run(
        folder, tier, lambda steps: [_failing(one) if one is broken else one for one in steps]
    )
    assert not ran
    if broken in child.BEFORE_FORK[tier]:
        assert (status, told) == (REFUSED, f"injected into {broken.__name__}")
    else:
        assert os.waitstatus_to_exitcode(status) == child.SETUP_FAILED_STATUS
        assert told == f"{broken.__name__}: injected into {broken.__name__}"


@pytest.mark.parametrize("exception", [KeyboardInterrupt, SystemExit, MemoryError, RecursionError])
def test_42_no_exception_falls_through(folder: Path, exception: type[BaseException]) -> None:
    def fail(_child: child.Child) -> None:
        raise exception

    status, _, ran = _run(folder, "landlock", lambda steps: [*steps[:-2], fail, *steps[-2:]])
    assert not ran
    assert os.waitstatus_to_exitcode(status) == child.SETUP_FAILED_STATUS


@pytest.mark.parametrize(
    ("spoil", "step"),
    [
        (lambda one: setattr(one.zygote, "filter", None), "filter_calls"),
        (lambda one: setattr(one, "ruleset", None), "restrict_files"),
        (lambda one: setattr(one.zygote, "pid", 1), "die_with_zygote"),
        (lambda _: setattr(rlimits, "limit_task", _refuse), "limit_resources"),
    ],
)
def test_42_a_layer_that_cannot_be_put_on_ends_the_child(
    folder: Path, spoil: Callable[[child.Child], None], step: str
) -> None:
    done = len(child.BEFORE_FORK["landlock"])
    status, told, ran = _run(folder, "landlock", lambda steps: [*steps[:done], spoil, *steps[done:]])
    assert not ran
    assert os.waitstatus_to_exitcode(status) == child.SETUP_FAILED_STATUS
    assert told.startswith(step)


@pytest.mark.parametrize(
    "spoiled", [{"landlock_abi": 2}, {"machine": None}, {"grants": (landlock.Grant(999, 4),)}]
)
def test_42_the_zygote_makes_no_process_without_a_list_of_files(folder: Path, spoiled: dict[str, Any]) -> None:
    def spoil(one: child.Child) -> None:
        for name, value in spoiled.items():
            setattr(one.zygote, name, value)

    status, _, ran = _run(folder, "landlock", lambda steps: [spoil, *steps])
    assert (status, ran) == (REFUSED, False)


def test_42_rights_that_were_kept_end_the_child(folder: Path) -> None:
    """In `namespaces` the task itself gives up what it needed to set itself up."""

    def keep(_child: child.Child) -> None:
        linux.drop_capabilities = lambda: None

    status, told, ran = _run(folder, "namespaces", lambda steps: [keep, *steps])
    assert not ran
    assert (os.waitstatus_to_exitcode(status), told) == (
        child.SETUP_FAILED_STATUS,
        "give_up_privileges: privileges were not given up",
    )


def test_a_failed_set_up_is_the_sandboxs_fault(box: Any) -> None:
    """It is tried elsewhere, whatever status the child ended with."""

    async def judge() -> Any:
        lane = Lane(Path(tempfile.mkdtemp(dir=box.root)) / "lane", None)
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
    assert report.tier is box.sandbox.tier is not Tier.NONE
    assert len(report.escapes_refused) == (10 if report.tier is Tier.NAMESPACES else 9)
    assert report.landlock_abi >= landlock.MINIMUM_ABI


def test_tier_none_runs_only_when_allowed_and_says_so(open_box: Any) -> None:
    box = open_box(tier=Tier.NONE, allow_none=True)
    assert box.sandbox.tier is Tier.NONE
    assert "nothing is isolated" in box.sandbox.report.remarks[-1]
    forked = box.run("import os, time\npid = os.fork()\nif pid == 0: time.sleep(60)\nresult = pid")
    with pytest.raises(ProcessLookupError):
        os.kill(json.loads(forked.result.inline), 0)
    assert box.run("x = bytearray(1 << 30)").reason == "memory limit of 512 MiB reached"
