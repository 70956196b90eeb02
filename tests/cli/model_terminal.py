"""A command line in front of models that go wrong, held to what every one of them must be."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import psutil
import pytest

from nadg.cli.main import run_command_line
from tests.support.gemini import Answer, GeminiImitation, run_in_thread, scripted

KEY = "AQ.key-that-nobody-may-see"
LITE = "google:gemini-3.5-flash-lite"
WAYS_OUT = "name another model (--model), give a plan file (--plan) or plan without a model (--planner builtin)"
UNSET = (
    "GOOGLE_API_KEY", "GEMINI_API_KEY", "OPENAI_API_KEY", "OPENAI_BASE_URL", "NADG_OPENAI_BASE_URL", "NADG_MODEL",
    "NADG_PLANNER",
)  # fmt: skip
Json = dict[str, object]


def python(subtask_id: str, code: str = "result = 7", **more: object) -> Json:
    return {"id": subtask_id, "work": {"kind": "python", "code": code}, **more}


def prompt(**more: object) -> Json:
    return {"id": "a", "work": {"kind": "prompt", "prompt": "hello", **more}}


def plan_of(*subtasks: Json) -> str:
    return json.dumps({"subtasks": subtasks, "answer": subtasks[-1]["id"]})


GOOD = plan_of(python("a"))


def prepare(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home of its own, no model configured, and two files to work on."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("NADG_HOME", str(folder / "home"))
    for name in UNSET:
        monkeypatch.delenv(name, raising=False)
    (folder / "asks.yaml").write_text("subtasks: [{id: a, work: {kind: prompt, prompt: hello}}]")
    (folder / "reviews.csv").write_text("text\nI like it\nI hate it\n")


class Terminal:
    """Runs command lines in this process; none may show a key or a traceback."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._capsys, self._monkeypatch = capsys, monkeypatch

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Exit code, standard output, standard error."""
        before = psutil.Process().children()  # such as a database server of other tests
        code = run_command_line(arguments)
        streams = self._capsys.readouterr()
        shown = streams.out + streams.err
        assert "Traceback" not in shown
        assert KEY not in shown
        assert psutil.Process().children() == before, "nothing is left running"
        return code, streams.out, streams.err

    def refused(self, code: int, *arguments: str) -> str:
        """The one sentence of a command line that gave nothing."""
        found, out, err = self.run(*arguments)
        assert (found, out) == (code, ""), err
        *notices, last = err.splitlines()
        assert last.startswith("nadg: "), err
        assert [one for one in notices if not one.startswith(f"the plan of {LITE}")] == []
        return last.removeprefix("nadg: ")

    @contextlib.contextmanager
    def before(self, *answers: Answer, key: str = KEY) -> Iterator[GeminiImitation]:
        """With a provider that answers so."""
        with run_in_thread(GeminiImitation(scripted(answers), api_key=KEY)) as gemini:
            self._monkeypatch.setenv("NADG_GOOGLE_BASE_URL", gemini.url)
            self._monkeypatch.setenv("GEMINI_API_KEY", key)
            yield gemini

    def facing(self, answers: Iterable[Answer], code: int, *arguments: str, key: str = KEY) -> str:
        """The one sentence where a provider answers so. Afterwards the records are sound."""
        with self.before(*answers, key=key):
            sentence = self.refused(code, *arguments)
        assert self.run("runs", "list")[0] == 0
        return sentence
