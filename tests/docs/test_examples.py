"""Every example in the README and in docs/ is run, or validated where running it would make no sense.

How a fenced block is treated follows from its language; a comment just before it says otherwise:

    <!-- example: not run, REASON -->       only its syntax is checked
    <!-- example: needs a worker -->        run beside a worker on port 7860 of its own machine
    <!-- example: needs a master -->        run beside a master on port 8400 of its own machine
    <!-- example: subtask code -->          run as the code of a subtask, under the code contract
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

import pytest
import yaml

from nadg.bootstrap.catalogue import skill_specs
from nadg.domain.blob import BlobRef
from nadg.domain.inputs import Column, InputFile
from nadg.domain.validate import parse_plan

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "ARCHITECTURE.md",
    *sorted(ROOT.glob("docs/*.md")),
]
FENCE = re.compile(
    r"(?:^<!-- example: (?P<mark>[^>]*?) -->\n\n?)?^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.M | re.S
)
SHELL = ("sh", "console", "bash")


@dataclass(frozen=True, kw_only=True)
class Example:
    """A fenced block."""

    place: str
    language: str
    mark: str
    text: str
    shown: str = ""
    """The `text` block that follows a `console` block: what the commands are said to print, cut."""

    def headings(self) -> set[str]:
        """The parts of the shown output that do not hang on versions of libraries."""
        return set(re.findall(r"^- \*\*.+?\*\*", self.shown, flags=re.M))

    def commands(self) -> list[str]:
        """The commands of a shell block, continuation lines joined; of a console block, those after `$ `."""
        lines = self.text.replace("\\\n", " ").splitlines()
        if self.language == "console":
            lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        return [
            bare for line in lines if (bare := re.sub(r"\s+#\s.*$", "", line).strip()) and not bare.startswith("#")
        ]


def examples() -> list[Example]:
    found: list[Example] = []
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        for match in FENCE.finditer(text):
            place = f"{document.name}:{text.count(chr(10), 0, match.start('language')) + 1}"
            if match["language"] == "text" and found and found[-1].language == "console":
                found[-1] = replace(found[-1], shown=match["text"])
            found.append(
                Example(place=place, language=match["language"], mark=match["mark"] or "", text=match["text"])
            )
    return found


ALL = examples()


def chosen(*languages: str, mark: str | None = "") -> list[Example]:
    return [one for one in ALL if one.language in languages and (mark is None or one.mark == mark)]


def named(some: list[Example]) -> list[object]:
    return [pytest.param(one, id=one.place) for one in some]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as the root of a checkout is for a reader, with a home and the commands of this environment."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    monkeypatch.setenv("NADG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_there_are_examples_and_their_marks_are_known() -> None:
    assert len(ALL) > 10
    known = re.compile(r"(not run, .+|needs a worker|needs a master|subtask code)?")
    assert [one.place for one in ALL if not known.fullmatch(one.mark)] == []
    assert {one.language for one in ALL} <= {*SHELL, "python", "yaml", "json", "text"}


@pytest.mark.parametrize("example", named(chosen("yaml", mark=None)))
def test_a_plan_is_valid(example: Example) -> None:
    document = yaml.safe_load(example.text)
    if not isinstance(document, dict) or "subtasks" not in document:
        return
    columns = tuple(Column(name=name, kind="text") for name in ("text",))
    names = {name for one in document["subtasks"] for name in one.get("inputs", ())}
    names |= {one["foreach"].get("rows_of", "") for one in document["subtasks"] if "foreach" in one} - {""}
    files = [
        InputFile(name=name, blob=BlobRef(sha256="0" * 64, size=1), kind="table", columns=columns, rows=10)
        for name in sorted(names)
        if "/" not in name
    ]
    parse_plan(document, skills=skill_specs(), inputs=files, models=True)


@pytest.mark.parametrize("example", named(chosen("python")))
def test_a_program_runs(example: Example, place: Path) -> None:
    done = subprocess.run([sys.executable, "-c", example.text], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("example", named([one for one in chosen("python", mark=None) if one.mark]))
def test_a_program_that_cannot_run_here_is_python(example: Example) -> None:
    compile(example.text, example.place, "exec")


@pytest.mark.parametrize("example", named(chosen("json", mark=None)))
def test_json_is_json(example: Example) -> None:
    json.loads(example.text)


@pytest.mark.parametrize("example", named(chosen(*SHELL, mark=None)))
def test_shell_is_shell(example: Example) -> None:
    script = "\n".join(example.commands())
    done = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("example", named(chosen(*SHELL)))
def test_commands_run(example: Example, place: Path) -> None:
    """`make` and `quick-start.sh` would set up the environment that runs this: their words are checked instead."""
    printed = ""
    for command in example.commands():
        if command.startswith("make "):
            assert f"\n{command.split()[1]}: " in (ROOT / "Makefile").read_text(), command
        elif command.startswith("./quick-start.sh"):
            word = [*command.split(), "example"][1]
            assert re.search(rf"^  (\S+ \| )*{word}( \|.*)?\) ", (ROOT / "quick-start.sh").read_text(), re.M), (
                command
            )
        else:
            done = subprocess.run(["bash", "-c", command], cwd=place, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
            printed += done.stdout
    assert {heading for heading in example.headings() if heading not in printed} == set()


def test_code_of_subtasks_runs_under_the_contract(place: Path) -> None:
    """All of it in one run; each block is a subtask that needs `clean` and has reviews.csv."""
    blocks = chosen("python", mark="subtask code")
    assert blocks
    subtasks: list[dict[str, object]] = [{"id": "clean", "work": {"kind": "python", "code": "result = [1, 2]"}}]
    for number, one in enumerate(blocks):
        work = {"kind": "python", "code": one.text}
        subtasks.append({"id": f"block{number}", "needs": ["clean"], "inputs": ["reviews.csv"], "work": work})
    Path("plan.json").write_text(json.dumps({"subtasks": subtasks}))
    command = [
        *(sys.executable, "-m", "nadg", "run", "--json", "--workers", "1"),
        *("--plan", "plan.json", "--input", "examples/reviews.csv"),
    ]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def worker(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of a worker of its own, with `TOKEN` set for its callers."""
    monkeypatch.setenv("NADG_WORKER_TOKEN", "only-for-this-test")
    monkeypatch.setenv("TOKEN", "only-for-this-test")
    with standing("worker", "--port", "0", "--slots", "1") as words:
        yield json.loads(words.readline())["url"]


@contextlib.contextmanager
def standing(*arguments: str) -> Iterator[IO[str]]:
    """What a command says that stays; it is stopped at the end."""
    process = subprocess.Popen([sys.executable, "-m", "nadg", *arguments], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout
    finally:
        process.terminate()
        process.communicate(timeout=30)


def test_a_workers_doors_answer_as_shown(worker: str, place: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("needs curl: the examples for a worker's doors use it")
    for said in answers("needs a worker", "http://127.0.0.1:7860", worker, place):
        answer = json.loads(said)
        assert answer.get("status") != "failed", answer


def answers(mark: str, shown_url: str, url: str, place: Path) -> list[str]:
    """What the commands of such examples print, in order, each of which must succeed."""
    printed = []
    for example in chosen(*SHELL, mark=mark):
        for command in example.commands():
            text = command.replace(shown_url, url).replace("curl -s ", "curl -sS --fail-with-body ")
            done = subprocess.run(["bash", "-c", text], cwd=place, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{example.place}: {text}\n{done.stdout}\n{done.stderr}"
            printed.append(done.stdout)
    assert printed
    return printed


@pytest.fixture
def master(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of a master of its own, with `TOKEN` set for its callers."""
    monkeypatch.setenv("NADG_MASTER_PORT", "0")
    monkeypatch.setenv("NADG_MASTER_TOKEN", "only-for-this-test")
    monkeypatch.setenv("TOKEN", "only-for-this-test")
    with standing("up", "--workers", "1") as words:
        lines = [words.readline(), words.readline()]
        found = re.search(r"^master: (\S+)", lines[1])
        assert found is not None, lines
        yield found[1]


def test_a_masters_api_answers_as_shown(master: str, place: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("needs curl: the examples for a master's API use it")
    health, _, _, started, events, *_ = answers("needs a master", "http://127.0.0.1:8400", master, place)
    assert json.loads(health)["status"] == "ok"
    assert json.loads(started) == {"id": "1m8akp5nfe6kkaz7"}
    assert [one["seq"] for one in json.loads(events)["events"]][:2] == [1, 2]
