"""Attacks beside the table, by Python code: on the sandbox's own code around it, its streams, and the next task."""

# ruff: noqa: E501 the code under test is quoted as it is

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator

import psutil
import pytest

from tests.sandbox.threats.hosts import Box
from tests.sandbox.threats.words import attack, check_refused

_SHADOWS = (
    "json",
    "os",
    "nadg",
    "traceback",
    "msgspec",
    "sitecustomize",
    "usercustomize",
    "encodings",
    "colorsys",
)


@pytest.fixture(autouse=True)
def _still_works(box: Box) -> Iterator[None]:
    yield
    output: list[tuple[str, str]] = []
    assert box.value("import csv, colorsys, json, os; print('x'); result = json.loads('2')", output=output) == 2
    assert "".join(text for _, text in output) == "x\n"


def test_files_of_another_running_attempt(box: Box) -> None:
    given = box.folder("inputs") / "in"
    given.write_text("given")
    given.chmod(0o644)
    victim = box.start("import time; print(inputs['in'], flush=True); time.sleep(60)", inputs={"in": given})
    path = victim.first_output().strip()
    source = f"""
    path = {path!r}
    result = [refused(read, path), refused(write, path), refused(os.listdir, os.path.dirname(path)),
              refused(os.link, path, "mine"), refused(os.rename, path, "mine")]
    """
    check_refused(box, [code for code in attack(box, source) if code != "ENOENT"])
    assert None not in attack(box, source)
    victim.cancel()
    assert attack(box, "result = refused(read, inputs['in'])", inputs={"in": given}) is None


@pytest.mark.parametrize("where", ["'.'", "os.environ['TMPDIR']"], ids=["work", "tmp"])
def test_planted_modules_are_not_loaded(box: Box, where: str) -> None:
    """Neither by this task's later imports of what Python has, nor by the sandbox, nor by the next task."""
    source = f"""
import os, sys
for name in {_SHADOWS}:
    with open({where} + f"/{{name}}.py", "w") as file: file.write("print('planted'); import os; os._exit(9)")
open({where} + "/x.pth", "w").write("import os; os._exit(9)")
import colorsys, json, traceback
result = [json.loads("[1]"), colorsys.__file__.startswith(sys.base_prefix) or "lib" in colorsys.__file__]
"""
    output: list[tuple[str, str]] = []
    assert box.value(source, output=output) == [[1], True]
    failing = box.run(source + "\n1 / 0\n", output=output)
    assert failing.reason.startswith("ZeroDivisionError")
    assert output == []


def test_given_files_with_names_of_modules_are_data(box: Box) -> None:
    folder = box.folder("named")
    inputs = {}
    for name in _SHADOWS:
        (folder / f"{name}.py").write_text("raise SystemExit('planted')")
        (folder / f"{name}.py").chmod(0o644)
        inputs[f"{name}.py"] = folder / f"{name}.py"
    source = "import colorsys, json, os, traceback; result = [len(inputs), json.loads('1')]"
    assert box.value(source, inputs=inputs) == [len(_SHADOWS), 1]
    assert box.run(source + "\n1/0", inputs=inputs).reason.startswith("ZeroDivisionError")


def test_planted_modules_do_not_reach_the_next_warm_process(open_box: Callable[..., Box]) -> None:
    box = open_box()
    plant = "import os\nfor n in ('sitecustomize', 'usercustomize', 'json', 'nadg'):\n"
    plant += "  for d in ('.', os.environ['TMPDIR'], os.environ['HOME']): open(f'{d}/{n}.py', 'w').write('raise SystemExit(9)')"
    box.value(plant)
    for child in psutil.Process(box.pid).children():
        os.kill(child.pid, signal.SIGKILL)
    endings = [box.run("result = 1") for _ in range(5)]  # the first may meet the dead one
    assert endings[-1].kind == "succeeded", endings[-1].reason


@pytest.mark.parametrize(
    "act",
    [
        "import os; [os.close(fd) for fd in (0, 1, 2)]",
        "import os; os.set_blocking(1, False); os.set_blocking(2, False)",
        "import os; os.dup2(os.open('mine', os.O_RDWR | os.O_CREAT), 1); print('lost', flush=True)",
        "import sys; sys.stdout = sys.stderr = None",
        "import sys; sys.stdout.close(); sys.stderr.detach()",
        "import os; [os.dup(1) for _ in range(60)]; os.set_inheritable(1, True)",
    ],
    ids=["closed", "non-blocking", "replaced", "none", "detached", "doubled"],
)
def test_streams_are_harmed_for_oneself_only(box: Box, act: str) -> None:
    assert box.value(act + "\nresult = 1") == 1
    big = "import sys; sys.stdout.write('y' * 300_000); result = 1"
    running = box.start(big)
    assert running.ending().kind == "succeeded"
    assert running.output_length == 300_000


@pytest.mark.parametrize(
    "act",
    [
        "import atexit, time\n@atexit.register\ndef again(): atexit.register(again); time.sleep(60)",
        "import threading, time\nthreading.Thread(target=time.sleep, args=(60,)).start()\nwhile True: time.sleep(1)",
        "import gc\ndef loop(*_):\n  while True: pass\ngc.get_objects = loop",
        "import io\nclass Evil(io.TextIOWrapper):\n  def flush(self):\n    while True: pass\n"
        "import sys; sys.stdout = Evil(open('x', 'wb'))",
        "class Evil(dict):\n  def items(self):\n    while True: yield 'a', 1\n  __iter__ = items\nresult = Evil(a=1)",
        "class Evil:\n  def __del__(self):\n    while True: pass\nx = Evil()",
        "import signal\nsignal.signal(signal.SIGALRM, lambda *_: None); signal.setitimer(signal.ITIMER_REAL, 1e-5, 1e-5)\n"
        "while True: pass",
        "import sys\ndef trace(*_):\n  while True: pass\nsys.setprofile(trace)",
    ],
    ids=["atexit", "thread", "collector", "flush", "result", "finalizer", "timers", "profile"],
)
def test_code_that_would_outlast_its_end(box: Box, act: str) -> None:
    """What runs after the last line is the task's own time, and ends with it."""
    ending = box.run(act, limits={"wall_seconds": 0.4})
    if ending.kind != "limit":  # what is never called, or called on a copy, does no harm
        assert ending.kind in ("succeeded", "failed")
    else:
        assert ending.reason == "wall time limit of 0.4 s reached"


@pytest.mark.parametrize(
    "act",
    [
        "import sys; sys.modules['__main__'] = None",
        "import sys; sys.modules.clear()",
        "class Evil(dict):\n  def clear(self): import os; os._exit(0)\nimport sys\n"
        "class M: __dict__ = Evil()\nsys.modules['__main__'] = M()",
        "import gc; gc.callbacks.append(lambda *_: 1 / 0); gc.set_threshold(1)",
        "import gc\nfor o in gc.get_objects():\n  if type(o) is list and len(o) < 50:\n    try: o.clear()\n    except Exception: pass",
        "import sys; sys.excepthook = sys.displayhook = sys.unraisablehook = None; raise ValueError('x')",
        "class Evil(Exception):\n  def __str__(self): raise Evil\n  __repr__ = __str__\nraise Evil",
        "raise type('E' * 100_000, (BaseException,), {})('x' * 1_000_000)",
        "import builtins; del builtins.print, builtins.len, builtins.isinstance; builtins.__import__ = None",
        "import ctypes; ctypes.memset(id(None), 0, 16)",
        "import sys; sys.setrecursionlimit(10**9)\ndef f(): f()\nf()",
        "import os; os._exit = None; os.write = None; raise SystemExit(0)",
        "import nadg.sandbox.contract as c, nadg.sandbox.child as d\nfor m in (c, d): vars(m).clear()",
    ],
    ids="main modules evil-main callbacks lists hooks str big builtins none stack exit contract".split(),  # noqa: SIM905
)
def test_the_sandboxs_own_code_is_poisoned(box: Box, act: str) -> None:
    """It runs in the same process, so the attempt may fail in any way, but it ends and is told in one piece."""
    ending = box.run(act, limits={"wall_seconds": 1, "memory_megabytes": 256})
    assert ending.kind in ("succeeded", "failed", "limit")
    assert len(ending.reason) < 5000
    assert "sandbox process was lost" not in ending.reason


def test_a_result_of_64_mebibytes(box: Box) -> None:
    ending = box.run("result = 'x' * (64 << 20)", limits={"result_bytes": 64 << 20})
    assert (ending.kind, ending.reason) == ("limit", "result limit of 64 MiB reached")
    assert box.value("result = 'x' * (1 << 20)") == "x" * (1 << 20)


@pytest.mark.parametrize(
    "act", ["ctypes.string_at(1)", "os.abort()", "os.kill(os.getpid(), 11)", "exec('1' * 10**6)"]
)
def test_a_crash_is_the_tasks_own(box: Box, act: str) -> None:
    ending = box.run(f"import ctypes, os; {act}")
    assert ending.kind in ("failed", "limit", "succeeded")  # the first of a namespace ignores its own signals


def test_a_task_that_renames_itself(box: Box) -> None:
    rename = "import ctypes; ctypes.CDLL(None).prctl(15, b'systemd', 0, 0, 0); result = 1"
    assert box.value(rename) == 1
    assert {child.name() for child in psutil.Process(box.pid).children()}.isdisjoint({"systemd"})
