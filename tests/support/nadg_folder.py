"""A folder with `nadg` in it, as a person uses it: in processes of its own, or in this one for short questions."""

from __future__ import annotations

import contextlib
import io
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import IO
from unittest import mock

from nadg.cli.main import run_command_line

NADG = [sys.executable, "-m", "nadg"]
PATIENCE_SECONDS = 60


class Folder:
    """A folder to work in, with a home of its own, and `nadg` in it."""

    def __init__(self, path: Path, home: Path) -> None:
        self.path = path
        self.environment = {**os.environ, "NADG_HOME": str(home)}
        self._started: list[subprocess.Popen[str]] = []

    def plan(self, text: str) -> str:
        (self.path / "plan.yaml").write_text(text)
        return "plan.yaml"

    def nadg(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*NADG, *arguments],
            cwd=self.path,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )

    def ask(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """As `nadg`, for a short question: the same command line, in this process, which is there already."""
        out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
        with (
            mock.patch.dict(os.environ, self.environment),
            contextlib.chdir(self.path),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            code = run_command_line(arguments)
        said, told = (one.buffer.getvalue().decode() for one in (out, err))
        return subprocess.CompletedProcess(arguments, code, said, told)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*NADG, *arguments],
            cwd=self.path,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._started.append(process)
        return process

    def close(self) -> None:
        """End what a failed test left behind."""
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.communicate()

    def refused(self, *arguments: str) -> str:
        done = self.ask(*arguments)
        assert done.returncode == 2, done.stdout + done.stderr
        assert done.stdout == ""
        assert done.stderr.startswith("nadg: ")
        assert "Traceback" not in done.stderr
        return done.stderr


def read_until(stream: IO[str] | None, pattern: str) -> re.Match[str]:
    """Read lines until one fits. The test's own time limit ends a wait in vain."""
    assert stream is not None
    seen = []
    for line in stream:
        seen.append(line)
        if found := re.search(pattern, line):
            return found
    raise AssertionError(f"{pattern!r} never came: {''.join(seen)}")


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=PATIENCE_SECONDS)
    return process.returncode, out, err
