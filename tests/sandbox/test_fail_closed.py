"""A step of the set-up that fails ends the child: no code runs, and the worker learns which step it was."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from nadg.domain.errors import SandboxUnavailable
from nadg.domain.tier import Tier
from nadg.sandbox import Policy, Sandbox, child
from nadg.sandbox.attempt import RunningAttempt
from nadg.sandbox.ending import read_ending
from nadg.sandbox.job import Bounds, Job, Span, encode_job
from nadg.sandbox.layers import landlock, privileges, seccomp
from nadg.sandbox.layers.syscalls import this_machine
from nadg.sandbox.policy import TASK_UID
from nadg.sandbox.zygote_process import Exit

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the landlock tier is Linux's")
STEPS = child.STEPS["landlock"]


@pytest.fixture
def folder(short_folder: Path) -> Path:
    made = Path(tempfile.mkdtemp(dir=short_folder))
    made.chmod(0o755)
    return made


def _run_steps(folder: Path, steps: Sequence[child.Step]) -> tuple[int, bytes, bool]:
    """A forked child with these steps: its wait status, its status pipe, and whether the code ran."""
    for name in ("work", "tmp"):
        (folder / name).mkdir()
        if os.geteuid() == 0:
            os.chown(folder / name, TASK_UID, TASK_UID)
    machine = this_machine()
    assert machine is not None
    zygote = child.Zygote(pid=os.getpid(), machine=machine, landlock_abi=landlock.abi_version(machine))
    zygote.filter = seccomp.build_filter(machine)
    zygote.mapped_bytes = 1 << 40
    source = b"open('ran', 'w').close()"
    job = Job(folder=str(folder), source=Span(-1, 0, len(source)), bounds=Bounds(5, 64, 1024, 1024, 64))
    head = encode_job(job, source)
    memory = os.memfd_create("job")
    os.ftruncate(memory, 1 << 20)
    os.pwrite(memory, head, 0)
    reader, writer = os.pipe()
    null = os.open(os.devnull, os.O_WRONLY)
    pid = os.fork()
    if pid == 0:
        if os.geteuid() == 0:
            privileges.become(TASK_UID)
        privileges.give_up_for_good()
        child.run_child(child.Child(zygote, 1 << 20, [memory, null, null, writer]), steps)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        told = stream.read()
    _, status = os.waitpid(pid, 0)
    os.close(memory)
    os.close(null)
    return status, told, (folder / "work" / "ran").exists()


def _failing(step: child.Step) -> child.Step:
    def fail(_child: child.Child) -> None:
        raise OSError(f"injected into {step.__name__}")

    fail.__name__ = step.__name__
    return fail


def _refuse() -> None:
    raise PermissionError("privileges were not given up")


def test_with_all_steps_the_code_runs(folder: Path) -> None:
    status, told, ran = _run_steps(folder, STEPS)
    assert (status, told, ran) == (0, child.READY, True)


@pytest.mark.parametrize("broken", STEPS, ids=lambda step: str(step.__name__))
def test_no_code_runs_after_a_failed_step(folder: Path, broken: child.Step) -> None:
    steps = [_failing(step) if step is broken else step for step in STEPS]
    status, told, ran = _run_steps(folder, steps)
    assert not ran
    assert os.waitstatus_to_exitcode(status) == child.SETUP_FAILED_STATUS
    assert told == f"{broken.__name__}: injected into {broken.__name__}".encode()


@pytest.mark.parametrize("exception", [KeyboardInterrupt, SystemExit, MemoryError, RecursionError])
def test_no_exception_falls_through(folder: Path, exception: type[BaseException]) -> None:
    def fail(_child: child.Child) -> None:
        raise exception

    status, _, ran = _run_steps(folder, [*STEPS[:7], fail, *STEPS[7:]])
    assert not ran
    assert os.waitstatus_to_exitcode(status) == child.SETUP_FAILED_STATUS


@pytest.mark.parametrize(
    ("spoil", "step"),
    [
        (lambda zygote: setattr(zygote, "filter", None), "filter_calls"),
        (lambda zygote: setattr(zygote, "landlock_abi", 2), "restrict_files"),
        (lambda zygote: setattr(zygote, "machine", None), "restrict_files"),
        (lambda zygote: setattr(zygote, "grants", (landlock.Grant(999, 4),)), "restrict_files"),
        (lambda zygote: setattr(zygote, "pid", 1), "give_up_privileges"),
        (lambda _: setattr(privileges, "require_given_up", _refuse), "give_up_privileges"),
    ],
)
def test_a_layer_that_cannot_be_put_on_ends_the_child(
    folder: Path, spoil: Callable[[child.Zygote], None], step: str
) -> None:
    def spoiled(one: child.Child) -> None:
        spoil(one.zygote)

    status, told, ran = _run_steps(folder, [spoiled, *STEPS])
    assert not ran
    assert os.waitstatus_to_exitcode(status) == child.SETUP_FAILED_STATUS
    assert told.decode().startswith(step)


def test_a_failed_set_up_is_the_sandboxs_fault(box: Any) -> None:
    """It is tried elsewhere, whatever status the child ended with."""

    async def judge() -> Any:
        attempt = RunningAttempt(limits=box.sandbox._policy.caps)
        attempt.exited(Exit(child.SETUP_FAILED_STATUS << 8, 0.0, 0))
        return read_ending(attempt, b"restrict_files: no", -1, 0)

    reading = box.runner.run(judge())
    assert (reading.kind, reading.reason) == ("crashed", "the sandbox could not be set up: restrict_files: no")


@pytest.mark.parametrize(
    ("policy", "sentence"),
    [
        (Policy(tier=Tier.NONE), "set allow_none"),
        (Policy(tier=Tier.NAMESPACES), "not available"),
    ],
)
def test_what_cannot_be_had_is_one_clear_error(policy: Policy, sentence: str, box: Any) -> None:
    sandbox = Sandbox(policy, box.root / "none", box.blobs)
    try:
        with pytest.raises(SandboxUnavailable, match=sentence):
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
