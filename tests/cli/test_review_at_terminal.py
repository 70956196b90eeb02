"""`nadg run --review` at a real terminal: real keys, a real editor, a real run."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.nadg_folder import NADG, PATIENCE_SECONDS, Folder

QUESTION = "[n]o: "
PLAN = """
goal: seven
subtasks:
  - id: seven
    work: {kind: python, code: "print('\\x1b[2J'); result = 7"}
"""


class AtTerminal:
    """`nadg` with its input and its messages on a terminal; what it answers is read from a pipe."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        (folder / "plan.yaml").write_text(PLAN)
        self.environment = {
            **os.environ,
            "NADG_HOME": str(folder / "home"),
            "TERM": "xterm",
            "VISUAL": "",
            "TMPDIR": str(folder / "temporary"),
            **environment,
        }
        (folder / "temporary").mkdir()
        self.keyboard, self._theirs = pty.openpty()
        self.raw = ""
        """Everything that came, colours included."""
        self._seen = 0
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, *arguments: str) -> None:
        command = [*NADG, "run", "--plan", "plan.yaml", "--workers", "1", *arguments]
        self.process = subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment,
            stdin=self._theirs,
            stdout=subprocess.PIPE,
            stderr=self._theirs,
            start_new_session=True,
        )

    @property
    def screen(self) -> str:
        """What came, without colours."""
        return re.sub(r"\x1b\[[\d;]*m", "", self.raw)

    def read_until(self, text: str) -> None:
        """Wait until the text stands on the screen, below where the last such wait ended."""
        while text not in self.screen[self._seen :]:
            ready, _, _ = select.select([self.keyboard], [], [], PATIENCE_SECONDS)
            assert ready, f"{text!r} never came: {self.screen}"
            self.raw += os.read(self.keyboard, 65536).decode(errors="replace")
        self._seen = self.screen.index(text, self._seen) + len(text)

    def type(self, keys: str) -> None:
        os.write(self.keyboard, keys.encode())

    def ended(self) -> tuple[int, str]:
        """The exit code and the answer; the screen is read on, so that nothing waits for it."""
        assert self.process is not None
        assert self.process.stdout is not None
        out, pipe = b"", self.process.stdout.fileno()
        while True:
            ready, _, _ = select.select([self.keyboard, pipe], [], [], PATIENCE_SECONDS)
            assert ready, self.screen
            if self.keyboard in ready:
                self.raw += os.read(self.keyboard, 65536).decode(errors="replace")
            if pipe in ready:
                piece = os.read(pipe, 65536)
                if not piece:
                    break
                out += piece
        code = self.process.wait(PATIENCE_SECONDS)
        while select.select([self.keyboard], [], [], 0)[0]:
            self.raw += os.read(self.keyboard, 65536).decode(errors="replace")
        return code, out.decode()

    def runs(self) -> str:
        return Folder(self.folder, self.folder / "home").ask("runs", "list").stdout

    def close(self) -> None:
        if self.process is not None:
            if self.process.poll() is None:
                self.process.kill()
            self.process.communicate()
        os.close(self.keyboard)
        os.close(self._theirs)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[AtTerminal]:
    one = AtTerminal(tmp_path)
    yield one
    one.close()


def editor(terminal: AtTerminal, script: str) -> None:
    """Edits with the lines of a shell script; `$1` is the plan."""
    path = terminal.folder / "edit"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    terminal.environment["EDITOR"] = str(path)


def refused(terminal: AtTerminal) -> None:
    code, out = terminal.ended()
    assert (code, out) == (1, "")
    assert "Refused; nothing was run." in terminal.screen
    assert "No runs yet" in terminal.runs()


def test_a_refused_plan_is_not_run(terminal: AtTerminal) -> None:
    terminal.start("--review")
    terminal.read_until(QUESTION)
    terminal.type("n\n")
    refused(terminal)


def test_the_end_of_the_input_refuses(terminal: AtTerminal) -> None:
    terminal.start("--review")
    terminal.read_until(QUESTION)
    terminal.type("\x04")
    refused(terminal)


def test_what_was_typed_before_the_question_is_no_answer_to_it(terminal: AtTerminal) -> None:
    terminal.type("y\n")
    terminal.start("--review")
    terminal.read_until(QUESTION)
    terminal.type("n\n")
    refused(terminal)


def test_ctrl_c_at_the_question_ends_it_at_once(terminal: AtTerminal) -> None:
    terminal.start("--review")
    terminal.read_until(QUESTION)
    assert terminal.process is not None
    terminal.process.send_signal(signal.SIGINT)
    code, out = terminal.ended()
    assert (code, out) == (130, ""), terminal.screen
    assert terminal.screen.replace("\r\n", "\n").endswith(f"{QUESTION}\nCancelled; nothing was run.\n")
    assert "No runs yet" in terminal.runs()


def test_an_approved_plan_runs_and_its_code_was_shown_and_did_nothing(terminal: AtTerminal) -> None:
    terminal.start("--review")
    terminal.read_until(QUESTION)
    assert "\\x1b[2J" in terminal.screen
    assert "\x1b[2J" not in terminal.raw
    terminal.type("y\n")
    code, out = terminal.ended()
    assert code == 0, terminal.screen
    assert "**7**" in out


def test_an_edited_plan_is_what_runs(terminal: AtTerminal) -> None:
    editor(terminal, 'stat -c %a "$(dirname "$1")" > rights; sed -i "s/result = 7/result = 8/" "$1"')
    terminal.start("--review")
    terminal.read_until(QUESTION)
    terminal.type("e\n")
    terminal.read_until("= 8")
    terminal.read_until(QUESTION)
    terminal.type("y\n")
    code, out = terminal.ended()
    assert code == 0, terminal.screen
    assert "**8**" in out
    assert (terminal.folder / "rights").read_text() == "700\n"
    assert [one for one in (terminal.folder / "temporary").iterdir() if "review" in one.name] == []


def test_ctrl_c_in_the_editor_is_the_editors(terminal: AtTerminal) -> None:
    editor(terminal, 'kill -INT $PPID; sed -i "s/result = 7/result = 8/" "$1"')
    terminal.start("--review")
    terminal.read_until(QUESTION)
    terminal.type("e\n")
    terminal.read_until("= 8")
    terminal.read_until(QUESTION)
    terminal.type("n\n")
    refused(terminal)


def test_a_spoilt_edit_shows_its_problems_and_may_be_mended(terminal: AtTerminal) -> None:
    spoil, mend = (
        "s/id: seven/id: Seven/; s/result = 7/result =/",
        "s/id: Seven/id: seven/; s/result =/result = 9/",
    )
    editor(terminal, f'if [ -e spoilt ]; then sed -i "{mend}" "$1"; else sed -i "{spoil}" "$1"; touch spoilt; fi')
    terminal.start("--review")
    terminal.read_until(QUESTION)
    terminal.type("e\n")
    terminal.read_until(QUESTION)
    assert "the plan has 2 problems:" in terminal.screen
    assert "subtasks[0].id" in terminal.screen
    assert "subtasks[0].work.code" in terminal.screen
    terminal.type("e\n")
    terminal.read_until(QUESTION)
    terminal.type("y\n")
    code, out = terminal.ended()
    assert code == 0, terminal.screen
    assert "**9**" in out


def test_a_plan_that_was_looked_at_and_not_changed_is_asked_about_again(terminal: AtTerminal) -> None:
    editor(terminal, "true")
    terminal.start("--review")
    terminal.read_until(QUESTION)
    terminal.type("e\n")
    terminal.read_until("The file was left as it was.")
    terminal.read_until(QUESTION)
    terminal.type("n\n")
    refused(terminal)


@pytest.mark.parametrize(
    ("script", "said"), [("exit 3", "ended with exit code 3"), (None, "cannot be started (No such file")]
)
def test_an_editor_that_fails_is_said_and_the_question_stays(
    terminal: AtTerminal, script: str | None, said: str
) -> None:
    if script is None:
        terminal.environment["EDITOR"] = "/no/such/editor"
    else:
        editor(terminal, script)
    terminal.start("--review")
    terminal.read_until(QUESTION)
    terminal.type("e\n")
    terminal.read_until(QUESTION)
    assert said in terminal.screen
    terminal.type("n\n")
    refused(terminal)


def piped(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "plan.yaml").write_text(PLAN)
    return subprocess.run(
        [*NADG, "run", "--plan", "plan.yaml", "--workers", "1", *arguments],
        cwd=folder,
        env={**os.environ, "NADG_HOME": str(folder / "home")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_a_terminal_a_review_is_refused_in_one_sentence(tmp_path: Path) -> None:
    done = piped(tmp_path, "--review")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("nadg: --review asks on a terminal")
    assert done.stderr.count("\n") == 1


def test_yes_shows_the_plan_and_runs_it(tmp_path: Path) -> None:
    done = piped(tmp_path, "--review", "--yes")
    assert done.returncode == 0, done.stderr
    assert "seven" not in piped(tmp_path, "--review", "--yes", "--quiet").stderr
    assert "    print('\\x1b[2J'); result = 7" in done.stderr
    assert "\x1b" not in done.stderr + done.stdout
    assert "**7**" in done.stdout
