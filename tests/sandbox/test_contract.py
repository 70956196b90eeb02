"""What the code is given and what it gives, in every mode."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nadg.domain.limits import Limits
from nadg.domain.tier import Tier
from nadg.sandbox import PartGiven, RowsGiven


@pytest.fixture
def folder(short_folder: Path, request: pytest.FixtureRequest) -> Path:
    made: Path = short_folder / request.node.name.replace("[", "-").replace("]", "").replace("/", "-")[:80]
    made.mkdir()
    return made


def test_an_exception_is_told_with_its_line_and_the_codes_own_frames(box: Any) -> None:
    ending = box.run("def f():\n    return 1 / 0\n\nf()\n")
    assert (ending.kind, ending.exit_code) == ("failed", 1)
    assert ending.reason == "ZeroDivisionError: division by zero (line 2)"
    assert 'File "main.py", line 4' in ending.detail
    assert "contract.py" not in ending.detail


def test_a_syntax_error_is_told_with_its_line(box: Any) -> None:
    ending = box.run("a = 1\nb = = 2\n")
    assert ending.kind == "failed"
    assert ending.reason == "SyntaxError: invalid syntax (line 2)"


@pytest.mark.parametrize(
    ("source", "status"),
    [
        ("import sys; sys.exit(3)", 3),
        ("import os; os._exit(4)", 4),
        ("import os; os._exit(0)", 0),
    ],
)
def test_leaving_early_is_told_with_the_status(box: Any, source: str, status: int) -> None:
    ending = box.run(source)
    assert ending.kind == "failed"
    assert ending.exit_code == status
    assert ending.reason == f"the code exited with status {status} before it was finished"


def test_leaving_with_words_tells_them(box: Any) -> None:
    ending = box.run("import sys; sys.exit('the file is\\nempty')")
    assert (ending.kind, ending.exit_code) == ("failed", 1)
    assert ending.reason == "the code exited: the file is empty"
    assert ending.stderr_tail == "the file is\nempty\n"


def test_sys_exit_without_a_status_is_an_ordinary_end(box: Any) -> None:
    assert box.value("import sys\nresult = 5\nsys.exit()") == 5


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("import ctypes; ctypes.string_at(0)", "SIGSEGV"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", "SIGTERM"),
        ("import os; os.abort()", "SIGABRT"),
    ],
)
def test_a_signal_is_named(box: Any, source: str, name: str) -> None:
    """The first process of a pid namespace ignores what it sends itself; `abort` then falls back to a fault."""
    ending = box.run(source)
    if box.sandbox.tier is Tier.NAMESPACES and name == "SIGTERM":
        assert ending.kind == "succeeded"
        return
    expected = "SIGSEGV" if box.sandbox.tier is Tier.NAMESPACES else name
    assert (ending.kind, ending.reason) == ("failed", f"ended by signal {expected}")
    assert ending.exit_code is not None
    assert ending.exit_code > 128


def test_no_result_is_null(box: Any) -> None:
    assert box.value("x = 1") is None


def test_the_code_is_main(box: Any) -> None:
    source = "import dataclasses, sys\n@dataclasses.dataclass\nclass A: x: int\nimport pickle\n"
    source += "result = [__name__, pickle.loads(pickle.dumps(A(3))).x, sys.modules['__main__'].A is A]"
    assert box.value(source) == ["__main__", 3, True]


def test_inputs_are_readable_files_and_not_writable(box: Any, folder: Path) -> None:
    (folder / "in.csv").write_text("a,b\n1,2\n")
    source = """
import os
path = inputs["data/in.csv"]
result = [open(path).read(), os.path.basename(path), os.listdir()]
try:
    open(path, "w")
except OSError as error:
    result.append("refused")
"""
    assert box.value(source, inputs={"data/in.csv": folder / "in.csv"}) == ["a,b\n1,2\n", "in.csv", [], "refused"]
    assert (folder / "in.csv").read_text() == "a,b\n1,2\n"


def test_given_files_of_one_attempt_are_gone_in_the_next(box: Any, folder: Path) -> None:
    (folder / "one").write_text("one")
    (folder / "two").write_text("two")
    source = """
import os
root = os.path.dirname(os.path.dirname(inputs["same"]))
result = [open(inputs["same"]).read(), sorted(n for _, _, names in os.walk(root) for n in names)]
"""
    first = {"same": folder / "one", "other": folder / "one"}
    assert box.value(source, inputs=first) == ["one", ["other", "same"]]
    assert box.value(source, inputs={"same": folder / "two"}) == ["two", ["same"]]
    places = "('../given', '../../../given/here')"
    left = f"import os; result = [os.listdir(place) for place in {places} if os.path.isdir(place)]"
    assert box.value(left) == [[]]
    many = {f"file{number}": folder / "one" for number in range(40)}
    assert box.value("result = len(inputs)", inputs=many) == 40
    places = "('../given', '../../../given/here')"
    left = f"import os; result = [os.listdir(place) for place in {places} if os.path.isdir(place)]"
    assert box.value(left) == [[]]


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a//b", "", ".", "a/../../b", "nul\0", "x" * 300])
def test_a_name_that_is_no_file_name_is_refused(box: Any, folder: Path, name: str) -> None:
    (folder / "f").write_text("x")
    ending = box.run("result = 1", inputs={name: folder / "f"})
    assert ending.kind == "failed"
    assert "the name" in ending.reason


def test_a_lost_input_is_the_workers_fault(box: Any, folder: Path) -> None:
    ending = box.run("result = 1", inputs={"a": folder / "absent"})
    assert ending.kind == "crashed"
    assert "absent" in ending.reason


def test_needs_come_inline_or_from_files(box: Any, folder: Path) -> None:
    (folder / "big.json").write_text(json.dumps(list(range(1000))))
    needs = {"a": b'{"x": [1, 2]}', "b": folder / "big.json"}
    source = "result = [needs['a']['x'][1], sum(needs['b']), missing]"
    assert box.value(source, needs=needs, missing={"c": "it failed"}) == [2, 499500, {"c": "it failed"}]


def test_more_values_in_files_than_descriptors_can_travel(box: Any, folder: Path) -> None:
    parts = []
    for index in range(230):
        path = folder / f"{index}.json"
        path.write_text(json.dumps({"n": index, "pad": "x" * index}))
        parts.append(PartGiven(result=path))
    assert box.value("result = [p['result']['n'] for p in parts]", parts=tuple(parts)) == list(range(230))


def test_needs_files_and_parts_are_folders(box: Any, folder: Path) -> None:
    (folder / "a").write_text("one")
    (folder / "b").write_text("two")
    source = """
import os
folder = needs_files["up"]
result = [open(os.path.join(folder, "charts/a.png")).read(), [open(p["folder"] + "/" + n).read()
          for p in parts for n in os.listdir(p["folder"])], [p["result"] for p in parts]]
"""
    parts = (PartGiven(result=b"1", files={"b": folder / "b"}), PartGiven(result=b"[2]"))
    given = box.value(source, needs_files={"up": {"charts/a.png": folder / "a"}}, parts=parts)
    assert given == ["one", ["two"], [1, [2]]]


def test_items_run_one_by_one_with_fresh_variables(box: Any) -> None:
    source = "assert 'left' not in globals()\nleft = 1\nif item != 2: result = [item_index, item * 10]"
    ending = box.run(source, mode="items", first=5, items=b"[1, 2, 3]")
    assert box.decoded(ending) == [[5, 10], None, [7, 30]]
    assert ending.per_item


def test_a_failing_item_is_named_by_its_index(box: Any) -> None:
    source = "if item == 'bad':\n    raise ValueError('no ' + item)\nresult = 1"
    ending = box.run(source, mode="items", first=16, items=b'["ok", "bad", "ok"]')
    assert ending.kind == "failed"
    assert ending.reason == "item 17: ValueError: no bad (line 2)"


def test_items_may_be_files(box: Any, folder: Path) -> None:
    for name in ("a", "b"):
        (folder / name).write_text(name * 3)
    files = (("x.txt", folder / "a"), ("x.txt", folder / "b"))
    source = "import os\nresult = [os.path.basename(item), open(item).read()]"
    assert box.value(source, mode="items", item_files=files) == [["x.txt", "aaa"], ["x.txt", "bbb"]]


def test_rows_are_this_shards_rows(box: Any, folder: Path) -> None:
    table = folder / "t.csv"
    table.write_bytes(b'a,b\n1,x\n2,"y\nz"\n3,w\n')
    rows = RowsGiven(name="t.csv", path=table, header_stop=4, start=8, stop=16)
    ending = box.run("result = [row['b'] for row in rows]", mode="rows", rows=rows)
    assert box.decoded(ending) == ["y\nz"]
    assert ending.per_item
    merged = box.run("result = {'n': len(rows)}", mode="rows", rows=rows)
    assert box.decoded(merged) == {"n": 1}
    assert not merged.per_item


def test_rows_that_are_no_objects_fail_with_a_sentence(box: Any, folder: Path) -> None:
    table = folder / "t.jsonl"
    table.write_bytes(b"[1]\n")
    rows = RowsGiven(name="t.jsonl", path=table, header_stop=0, start=0, stop=4)
    ending = box.run("result = 1", mode="rows", rows=rows)
    assert ending.kind == "failed"
    assert "one object per line" in ending.reason


def test_unfit_results_say_what_and_where(box: Any) -> None:
    ending = box.run("result = {'a': [1, print]}")
    assert ending.kind == "failed"
    assert ending.reason.startswith("result['a'][1] is a builtin_function_or_method, which has no JSON form")
    deep = box.run("result = []\nfor _ in range(5000): result = [result]")
    assert deep.reason == "result is nested deeper than 200 levels; give flatter data"
    loop = box.run("result = []\nresult.append(result)")
    assert loop.reason == "result is nested deeper than 200 levels; give flatter data"


def test_standard_values_are_converted(box: Any) -> None:
    source = """
import dataclasses, datetime, decimal, pathlib, collections, enum
@dataclasses.dataclass
class P: x: int; y: float
class E(enum.Enum): A = "a"
result = [P(1, float("inf")), datetime.date(2026, 1, 2), pathlib.Path("a/b"), {3, 1, 2}, (1, 2), E.A,
          collections.OrderedDict(z=1), {1: 2, True: 3}, 10**30, collections.deque([1]), "\\ud800"]
"""
    expected = [
        {"x": 1, "y": None},
        "2026-01-02",
        "a/b",
        [1, 2, 3],
        [1, 2],
        "a",
        {"z": 1},
        {"1": 3},
        10**30,
        [1],
        "?",
    ]
    ending = box.run(source)
    assert box.decoded(ending) == expected
    assert ending.notes == (
        "1 NaN or infinite number(s) in the result became null",
        "1 character(s) in the result that have no UTF-8 form became ?",
    )


def test_each_half_of_a_character_that_became_a_question_mark_is_noted(box: Any) -> None:
    ending = box.run("result = {'é🌆?': ['\\ud800 \\udfff?'], '\\udc80': 1}")
    assert box.decoded(ending) == {"é🌆?": ["? ??"], "?": 1}
    assert ending.notes == ("3 character(s) in the result that have no UTF-8 form became ?",)
    whole = box.run("result = [None, 'é🌆?']")
    assert (box.decoded(whole), whole.notes) == ([None, "é🌆?"], ())


def test_a_large_result_becomes_a_blob(box: Any) -> None:
    ending = box.run("result = 'x' * 200_000")
    assert ending.result is not None
    assert ending.result.blob is not None
    assert box.decoded(ending) == "x" * 200_000


def test_output_streams_live_and_is_decoded_across_pieces(box: Any) -> None:
    output: list[tuple[str, str]] = []
    source = """
import os, sys
os.write(1, b"\\xe2\\x82"); os.write(1, b"\\xac\\n")
print("err", file=sys.stderr)
os.write(1, b"\\xff\\x00\\x1b[1m")
"""
    ending = box.run(source, output=output)
    assert "".join(text for stream, text in output if stream == "stdout") == "\u20ac\n\ufffd\x00\x1b[1m"
    assert ("stderr", "err\n") in output
    assert ending.stderr_tail == "err\n"


def test_the_tail_is_the_last_4_kib(box: Any) -> None:
    ending = box.run("print('a' * 10_000 + 'end')")
    assert len(ending.stdout_tail) == 4096
    assert ending.stdout_tail.endswith("end\n")


def test_stdin_is_empty(box: Any) -> None:
    assert box.run("input()").reason.startswith("EOFError")


def test_what_a_script_does_at_its_end_is_done(box: Any) -> None:
    source = """
import atexit, threading
from concurrent.futures import ThreadPoolExecutor
kept = open("unclosed.txt", "w"); kept.write("flushed")
atexit.register(lambda: open("exit.txt", "w").write("exit"))
threading.Thread(target=lambda: open("thread.txt", "w").write("joined")).start()
pool = ThreadPoolExecutor(2); pool.submit(lambda: open("pool.txt", "w").write("pooled"))
"""
    ending = box.run(source)
    assert ending.kind == "succeeded", ending.reason
    assert box.artifacts(ending) == {
        "unclosed.txt": b"flushed",
        "exit.txt": b"exit",
        "thread.txt": b"joined",
        "pool.txt": b"pooled",
    }


def test_attempts_do_not_see_one_another(box: Any) -> None:
    """A changed builtin, a module, a file, a temporary file, a blocked stream: gone with the process."""
    dirty = """
import builtins, json, os, tempfile, sys, fcntl
json.poison = True
open("left.txt", "w").write("x")
open(os.path.join(tempfile.gettempdir(), "left"), "w").write("x")
fcntl.fcntl(1, fcntl.F_SETFL, fcntl.fcntl(1, fcntl.F_GETFL) | os.O_NONBLOCK)
sys.stdout.write("no newline")
builtins.len = lambda x: 42
"""
    clean = """
import json, os, tempfile, fcntl
result = [len("ab"), hasattr(json, "poison"), os.listdir(), os.listdir(tempfile.gettempdir()),
          bool(fcntl.fcntl(1, fcntl.F_GETFL) & os.O_NONBLOCK)]
"""
    for _ in range(3):
        output: list[tuple[str, str]] = []
        first = box.run(dirty)
        assert first.kind == "succeeded", first.reason
        ending = box.run(clean, output=output)
        assert box.decoded(ending) == [2, False, [], [], False]
        assert output == []


def test_worker_policy_caps_the_limits(open_box: Any) -> None:
    box = open_box(caps=Limits(wall_seconds=0.3))
    assert box.run("while True: pass").reason == "wall time limit of 0.3 s reached"


def test_usage_is_reported(box: Any) -> None:
    ending = box.run("x = bytearray(50_000_000)\nfor _ in range(300_000): pass")
    assert ending.cpu_seconds > 0
    assert ending.max_rss_bytes > 50_000_000
    assert ending.started_at <= ending.finished_at
