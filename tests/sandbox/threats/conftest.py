"""A sandbox in each combination that this machine allows; the others are skipped by name, with the reason."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.threats.combinations import COMBINATIONS, Combination
from tests.sandbox.threats.hosts import SECRET, Box, Launcher


@pytest.fixture(scope="session")
def launcher(short_folder: Path) -> Iterator[Launcher]:
    one = Launcher(short_folder)
    yield one
    one.close()


@pytest.fixture(params=COMBINATIONS, ids=lambda one: one.name)
def combination(request: pytest.FixtureRequest, launcher: Launcher) -> Combination:
    one: Combination = request.param
    reason = launcher.obstacle(one)
    if reason:
        pytest.skip(reason)
    return one


@pytest.fixture
def box(launcher: Launcher, combination: Combination) -> Box:
    """One sandbox of the combination, shared by all tests that do not harm it."""
    return launcher.shared(combination)


@pytest.fixture
def open_box(launcher: Launcher, combination: Combination) -> Iterator[Callable[..., Box]]:
    """Opens a sandbox of the test's own."""
    opened: list[Box] = []

    def make(**order: Any) -> Box:
        opened.append(launcher.open(combination, **order))
        return opened[-1]

    yield make
    for one in opened:
        one.connection.close()


@pytest.fixture
def neighbour(combination: Combination) -> Iterator[subprocess.Popen[bytes]]:
    """Another process of the user that the tasks are, with a secret in its environment."""
    uid = combination.task_uid if os.geteuid() == 0 else None
    process = subprocess.Popen(["/bin/sleep", "300"], env={"TOKEN": SECRET}, user=uid, group=uid, cwd="/")
    yield process
    process.kill()
    process.wait()
