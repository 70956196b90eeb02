"""A test that needs a part which the machine lacks is skipped by name on a desk, and fails where CI runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TESTS = """
import pytest
def test_part():
    pytest.skip("needs a flux capacitor: time cannot be bent here")
@pytest.mark.skipif(True, reason="needs a second moon: tides")
def test_mark():
    pass
def test_other():
    pytest.skip("not on this day of the week")
"""


def run(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_it.py").write_text(TESTS)
    shutil.copy(ROOT / "tests" / "conftest.py", folder)
    variables = {
        name: value for name, value in os.environ.items() if name != "CI" and not name.startswith("PYTEST")
    }
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-rs",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        str(folder),
        "test_it.py",
    ]
    return subprocess.run(
        command, cwd=folder, env={**variables, **environment}, capture_output=True, text=True, check=False
    )


def test_on_a_desk_it_is_skipped_with_its_name(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert done.returncode == 0, done.stdout
    assert "needs a flux capacitor: time cannot be bent here" in done.stdout
    assert "3 skipped" in done.stdout


@pytest.mark.parametrize("value", ["true", "1"])
def test_where_ci_runs_it_fails(tmp_path: Path, value: str) -> None:
    done = run(tmp_path, CI=value)
    assert done.returncode == 1, done.stdout
    assert "1 failed, 1 skipped, 1 error" in done.stdout
    assert "lacks a part that a test needs: needs a second moon: tides" in done.stdout
