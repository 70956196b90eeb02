"""Prints the table of threats, rows by combinations: `make sandbox-matrix`. Exits with 1 where anything failed.

It runs the tests of `tests/sandbox/threats` and reads their reports; further arguments go to pytest.
"""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from typing import Final

import pytest

from tests.sandbox.threats.combinations import COMBINATIONS
from tests.sandbox.threats.rows import ROWS, row_of

_NAMES: Final = tuple(one.name for one in COMBINATIONS)
_WIDTH: Final = 36
Cell = dict[str, int]


class Recorder:
    """Collects how each test ended, by row or attack and by combination."""

    def __init__(self) -> None:
        self.cells: dict[tuple[str, str], Cell] = defaultdict(lambda: defaultdict(int))
        self.reasons: dict[str, set[str]] = defaultdict(set)
        self.failed: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count the report of a call, and of a set-up or clean-up that did not pass."""
        if report.when != "call" and report.passed:
            return
        if report.failed:
            self.failed.append(report.nodeid)
        test = report.nodeid.rpartition("::")[2]
        combination = next((name for name in _NAMES if name in test), None)
        if combination is None:
            return
        self.cells[_label(test), combination][report.outcome] += 1
        if report.skipped and isinstance(report.longrepr, tuple):
            self.reasons[combination].add(report.longrepr[2].removeprefix("Skipped: "))


def _label(test: str) -> str:
    """A row's number and title, or an attack's name in words."""
    function = re.split(r"\[", test, maxsplit=1)[0]
    row = row_of(function)
    return f"{row:02} {ROWS[row]}" if row is not None else function.removeprefix("test_").replace("_", " ")


def cell_text(cell: Cell) -> str:
    """The worst that happened, and how many tests say so."""
    if cell.get("failed"):
        return f"FAILED {cell['failed']}"
    if cell.get("passed"):
        return f"ok {cell['passed']}" + (f", {cell['skipped']} skipped" if cell.get("skipped") else "")
    return "skipped" if cell.get("skipped") else "MISSING"


def matrix_lines(recorder: Recorder) -> list[str]:
    """The table as text."""
    attacks = sorted({label for label, _ in recorder.cells if not label[:2].isdigit()})
    lines = [" " * _WIDTH + "".join(f"{name:<17}" for name in _NAMES)]
    for label in [f"{row:02} {title}" for row, title in ROWS.items()] + attacks:
        cells = (cell_text(recorder.cells.get((label, name), {})) for name in _NAMES)
        lines.append(f"{label[: _WIDTH - 2]:<{_WIDTH}}" + "".join(f"{text:<17}" for text in cells).rstrip())
    lines += [f"skipped {name}: {reason}" for name in _NAMES for reason in sorted(recorder.reasons[name])]
    lines += [f"FAILED {test}" for test in recorder.failed]
    return lines


def main() -> int:
    """Run, print, and say by the status whether every row held."""
    recorder = Recorder()
    arguments = ["tests/sandbox/threats", "-q", "--no-header", "--tb=short", "-rN", *sys.argv[1:]]
    status = int(pytest.main(arguments, plugins=[recorder]))
    lines = matrix_lines(recorder)
    print("\n".join(["", *lines]))
    is_missing = len(sys.argv) == 1 and any("MISSING" in line for line in lines)
    return status or int(bool(recorder.failed) or is_missing)


if __name__ == "__main__":
    sys.exit(main())
