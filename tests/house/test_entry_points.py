"""The two commands of a fresh machine and the targets of `make`, as far as they can be asked without a network."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def quick_start(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [str(ROOT / "quick-start.sh"), *arguments]
    return subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)


def test_quick_start_says_what_it_can_do() -> None:
    done = quick_start("--help")
    assert done.returncode == 0
    for word in ("up", "test", "setup"):
        assert f"./quick-start.sh {word}" in done.stdout


def test_quick_start_refuses_an_unknown_word() -> None:
    done = quick_start("fly")
    assert done.returncode == 2
    assert "unknown word 'fly'" in done.stderr


def test_quick_start_refuses_an_unfit_python(tmp_path: Path) -> None:
    old = tmp_path / "python"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    done = quick_start("setup", NADG_PYTHON=str(old), NADG_VENV=str(tmp_path / "venv"))
    assert done.returncode == 2
    assert "not Python 3.11 or newer" in done.stderr
    assert not (tmp_path / "venv").exists()


def test_quick_start_refuses_a_machine_without_python(tmp_path: Path) -> None:
    for name in ("bash", "dirname", "env", "cat", "cksum"):
        (tmp_path / name).symlink_to(shutil.which(name) or name)
    done = quick_start("setup", PATH=str(tmp_path), NADG_VENV=str(tmp_path / "venv"))
    assert done.returncode == 2
    assert "no Python 3.11 or newer found" in done.stderr


def test_scripts_are_executable_and_parse() -> None:
    for name in ("quick-start.sh", ".ci/run", "requirements/compile.sh"):
        assert os.access(ROOT / name, os.X_OK), name
        assert subprocess.run(["bash", "-n", ROOT / name], check=False).returncode == 0, name


def test_make_help_lists_every_target() -> None:
    if shutil.which("make") is None:
        pytest.skip("needs make: the Makefile cannot be asked")
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.M)
    assert sorted(re.findall(r"^  make (\S+)", done.stdout, flags=re.M)) == sorted(targets)
