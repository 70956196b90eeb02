"""Masters and workers as processes of their own, to be killed, paused and started again."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import psutil

MARK = "NADG_CHAOS_MARK"
"""In the environment of everything that a trial starts, so that what is left of it can be found."""


class Member:
    """One process by its name; started again it is another process under the same name."""

    def __init__(self, name: str, arguments: Sequence[str], environment: dict[str, str], log: Path) -> None:
        self.name = name
        self._arguments, self._environment, self._log = list(arguments), environment, log
        self._process: subprocess.Popen[bytes] | None = None
        self.starts = 0
        self.paused = False

    @property
    def process_id(self) -> int:
        """Of the process that runs now, or ran last."""
        return self._process.pid if self._process is not None else 0

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "nadg", *self._arguments],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.starts += 1

    def kill(self) -> None:
        """SIGKILL, which nothing can prepare for."""
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()
        self.paused = False

    def pause(self) -> None:
        self.paused = True
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.paused = False
        self._signal(signal.SIGCONT)

    def stop(self) -> None:
        """As a person stops it: asked first."""
        self.go_on()
        self._signal(signal.SIGTERM)
        if self._process is not None:
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self.kill()

    def last_words(self, lines: int = 15) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-lines:])

    def _signal(self, number: int) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)


def environment(home: Path, mark: str, **settings: str) -> dict[str, str]:
    """That of this process without settings of NADG, and with these."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NADG_")}
    return {**kept, "NADG_HOME": str(home), MARK: mark, **settings}


def left_over(mark: str) -> list[str]:
    """Processes of the trial that still live."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(f"{process.pid} {' '.join(process.cmdline())[:100]}")
    return found
