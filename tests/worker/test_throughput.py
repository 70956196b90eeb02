"""The benchmark of the runner's throughput runs through and compares with what it promises to."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[2] / "benchmarks" / "sandbox_throughput.py"


@pytest.mark.skipif(sys.platform != "linux", reason="the sandbox is Linux's")
def test_it_measures_the_runner_and_both_fork_loops() -> None:
    command = [sys.executable, str(PROGRAM), "--count", "20", "--rounds", "1", "--slots", "2", "--peer-count", "0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for line in ("runner and sandbox", "bare fork loop", "2 such loops side by side"):
        assert f"\n{line} " in done.stdout, done.stdout
