"""`nadg up` at a terminal: its lines stand above the table of workers, whole."""

from __future__ import annotations

import io
import re
import sys

import pytest
from rich.console import Console

from nadg.cli.grid import UpScreen
from nadg.domain.tier import Tier
from nadg.domain.worker import WorkerInfo
from nadg.engines.grid import WorkerView

WIDTH = 80


class Terminal(io.StringIO):
    """Keeps what is on the screen as a terminal of 80 columns does, for what Rich writes."""

    def isatty(self) -> bool:
        return True

    @property
    def rows(self) -> list[str]:
        rows, at = [""], 0
        for part in re.findall(r"\x1b\[[?\d;]*[A-Za-z]|[\r\n]|[^\x1b\r\n]+", self.getvalue()):
            if part == "\n":
                at, rows = at + 1, [*rows, *[""] * (at + 2 - len(rows))]
            elif part.endswith("A") and part.startswith("\x1b"):
                at -= int(part[2:-1])
            elif part == "\x1b[2K":
                rows[at] = ""
            elif not part.startswith("\x1b") and part != "\r":
                for begin in range(0, len(part), WIDTH):  # it writes lines, never into them
                    rows[at] = rows[at] + part[begin : begin + WIDTH]
                    if begin + WIDTH < len(part):
                        at, rows = at + 1, [*rows, *[""] * (at + 2 - len(rows))]
        return [row.rstrip() for row in rows]


def view(number: int) -> WorkerView:
    info = WorkerInfo(name=f"local-1000-{number}", slots=1, tier=Tier.LANDLOCK)
    url = f"http://127.0.0.1:4000{number}"
    return WorkerView(url=url, state="ready", reason="", info=info, in_flight=0)


@pytest.mark.parametrize("workers", [1, 2])
def test_the_masters_address_stays_above_the_table(workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    screen = UpScreen(Console(file=terminal, force_terminal=True, width=WIDTH, height=24, markup=False))
    views = [view(number) for number in range(workers)]
    screen.workers(views)
    screen.ready(workers, "http://127.0.0.1:8400")
    for _ in range(3):
        screen.workers(views)
    screen.close()
    shown = "\n".join(terminal.rows)
    assert f"ready: {workers} worker" in terminal.rows[0]
    assert "".join(terminal.rows).count("set NADG_MASTER_URL to this)") == 1
    assert terminal.rows[1].startswith("master: http://127.0.0.1:8400")
    assert shown.count("WORKER") == 1
    assert sum(row.startswith("local-1000") for row in terminal.rows) == workers


def test_elsewhere_they_go_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    UpScreen(Console(file=io.StringIO())).ready(1, "http://127.0.0.1:8400")
    assert capsys.readouterr().out.count("\n") == 2
