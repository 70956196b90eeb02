"""Rows 37 to 41: names, results and reports as an attacker writes them, and what the next task sees of it."""

from __future__ import annotations

import textwrap

import pytest

from tests.sandbox.threats.hosts import Box
from tests.sandbox.threats.words import TRY

_FORGE = """
import gc
gc.unfreeze()
import struct
from nadg.sandbox.job import Report, write_report
memory = next(view for view in gc.get_objects() if type(view) is memoryview and view.nbytes > 1 << 20)
"""


@pytest.mark.parametrize("name", ["../out", "/etc/out", "a/../../out", "a\0b", "", "..", "x" * 300])
def test_37_given_names_stay_where_they_are_put(box: Box, name: str) -> None:
    given = box.folder("given") / "in"
    given.write_text("given")
    given.chmod(0o644)
    ending = box.run("result = 1", inputs={name: given})
    assert ending.kind == "failed"
    assert "name" in ending.reason
    assert not (box.root / "out").exists()
    assert box.value("result = open(inputs['a/in']).read()", inputs={"a/in": given}) == "given"


def test_37_made_names_are_data(box: Box) -> None:
    """No name that code can give a file makes a path of the worker's."""
    source = r"""
for name in (b"..\\..\\out", b"\xff\xfe", b"a\nb", b"-rf", b"...", b"$(x)", b"C:\\x", b"%2e%2e%2fout"):
    open(name, "w").close()
os.makedirs("a/ b/c"); open("a/ b/c/d", "w").close()
"""
    ending = box.run(TRY + source)
    names = set(box.artifacts(ending))
    assert len(names) == 9
    assert all(not name.startswith("/") and ".." not in name.split("/") for name in names)
    assert {path.name for path in box.blobs.folder.iterdir()} >= {one.blob.sha256 for one in ending.artifacts}
    assert all(len(path.name) == 64 for path in box.blobs.folder.iterdir())


_PLANT = """memory[16:80] = (b"cposix\\nsystem\\n(S'touch {planted}'\\ntR." + bytes(64))[:64]"""


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        (_PLANT + "; struct.pack_into('=QQ', memory, 0, 64, 64)", "overwrote its own report"),
        ("struct.pack_into('=QQ', memory, 0, 1 << 60, 1 << 50)", "overwrote its own report"),
        ("struct.pack_into('=QQ', memory, 0, 10, 1 << 62)", "overwrote its own report"),
        ("write_report(memory, Report(kind='succeeded', has_result=True), b'[1,')", "is not JSON"),
        ("write_report(memory, Report(kind='succeeded', has_result=True), b'[' * 200_000)", "nested deeper"),
        ("write_report(memory, Report(kind='succeeded', has_result=True), b'9' * 5000)", "more than 4300 digits"),
        ("write_report(memory, Report(kind='owned', reason='r'), b'')", "r"),
    ],
    ids=["pickle", "huge", "head", "json", "depth", "digits", "kind"],
)
def test_38_a_forged_report_is_data_and_never_more(box: Box, act: str, reason: str) -> None:
    """Code finds the job memory by address and writes a pickle, or broken JSON, where the report belongs."""
    planted = box.folder("forged") / "planted"
    ending = box.run(_FORGE + act.replace("{planted}", str(planted)) + "\nimport os; os._exit(0)")
    assert ending.kind == "failed", ending
    assert reason in ending.reason
    assert not planted.exists()


def test_38_the_status_is_the_kernels_word(box: Box) -> None:
    """A report of success does not outweigh a death by signal; an honest forgery is just a result."""
    honest = "write_report(memory, Report(kind='succeeded', has_result=True), b'7')\nimport os; "
    ending = box.run(_FORGE + honest + "os._exit(0)")
    assert (ending.kind, box.decoded(ending)) == ("succeeded", 7)
    killed = "import ctypes; ctypes.string_at(0)"
    assert box.run(_FORGE + honest + killed).kind == "failed"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("result = 10 ** 5000", "digits"),
        ("result = []\nfor _ in range(200_000): result = [result]", "deeper"),
        ("result = {}\nresult['a'] = result", ""),
        ("result = 'x' * (2 << 20)", "result limit of 1 MiB reached"),
    ],
    ids=["digits", "depth", "circle", "size"],
)
def test_39_results_out_of_all_measure(box: Box, source: str, reason: str) -> None:
    ending = box.run(source, limits={"result_bytes": 1 << 20})
    assert ending.kind in ("failed", "limit")
    assert reason in ending.reason
    assert ending.result is None
    assert box.value("result = [[[10 ** 400]]]") == [[[10**400]]]


def test_39_given_values_out_of_all_measure(box: Box) -> None:
    for text in ("[" * 200_000, "9" * 5000, '{"a":'):
        ending = box.run("result = needs['a']", needs={"a": text})
        assert ending.kind == "failed"
        assert ending.result is None
    assert box.value("result = needs['a']", needs={"a": "[1]"}) == [1]


def test_40_a_poisoned_module_ends_with_its_process(box: Box) -> None:
    poison = """
import builtins, json, sys, os
builtins.len = lambda _: 42
builtins.max = min
json.dumps = None
sys.modules["csv"] = None
sys.path.insert(0, "/nowhere")
os.environ["POISON"] = "1"
"""
    assert box.value(poison + "result = max(1, 2)") == 1
    clean = "import csv, json, os, sys; result = [len('ab'), max(1, 2), json.dumps(1), 'POISON' in os.environ]"
    assert box.value(clean) == [2, 2, "1", False]


def test_41_buffered_output_does_not_leak(box: Box) -> None:
    """What one task left in a buffer is its own last words or nobody's."""
    for ends in ("os._exit(0)", "os.abort()", "pass", "raise SystemExit(3)"):
        leaves = f"import os, sys; sys.stdout.write('left over'); sys.stderr.write('left over too')\n{ends}"
        box.run(leaves)
        output: list[tuple[str, str]] = []
        ending = box.run("print('mine')", output=output)
        assert "".join(text for _, text in output) == "mine\n"
        assert (ending.stdout_tail, ending.stderr_tail) == ("mine\n", "")


def test_41_output_goes_to_its_own_attempt(box: Box) -> None:
    first = box.start("import time; print('first', flush=True); time.sleep(60)")
    assert first.first_output() == "first\n"
    assert box.run(textwrap.dedent("print('second')")).stdout_tail == "second\n"
    first.cancel()
    assert first.output == [("stdout", "first\n")]
