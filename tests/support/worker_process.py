"""Real worker processes, as fixtures for whatever folder of tests takes them in its conftest."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nadg.domain.tier import Tier
from nadg.sandbox import Policy
from nadg.worker.settings import WorkerSettings

TOKEN = "a token for tests"


class WorkerProcess:
    """A worker started as a child; `url` once it is ready."""

    def __init__(self, settings: WorkerSettings, log: Path, disk_megabytes: int | None = None) -> None:
        """With `disk_megabytes`, its folder is a disk of that size."""
        self.token = settings.token
        with log.open("wb") as file:
            argv = [*on_small_disk(Path(settings.root), disk_megabytes), sys.executable, "-m", "nadg.worker"]
            pipe = subprocess.PIPE
            self.process = subprocess.Popen(argv, stdin=pipe, stdout=pipe, stderr=file, start_new_session=True)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(settings.line() + b"\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            self.process.communicate()
            pytest.fail(f"the worker did not start: {log.read_text()}")
        self.ready: dict[str, Any] = json.loads(line)
        self.url: str = self.ready["url"]

    def kill(self) -> None:
        self.process.kill()

    def orphan(self) -> None:
        """Let it see what it sees when the process that started it is killed."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.stdin = None

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        self.process.communicate(timeout=20)


def on_small_disk(folder: Path, megabytes: int | None) -> list[str]:
    """Runs what follows where `folder` is a disk of its own, in a mount namespace that goes with it."""
    if megabytes is None:
        return []
    script = 'mkdir -p "$0" && mount -t tmpfs -o size="$1"m none "$0" && shift && exec "$@"'
    return ["unshare", "-m", "sh", "-c", script, str(folder), str(megabytes)]


def has_small_disks() -> bool:
    """Whether the tests may mount one: mostly a privilege of root."""
    with tempfile.TemporaryDirectory() as folder:
        argv = [*on_small_disk(Path(folder), 1), "true"]
        return shutil.which("unshare") is not None and subprocess.run(argv, capture_output=True).returncode == 0


def create_settings(folder: Path, name: str, **changes: Any) -> WorkerSettings:
    fields: dict[str, Any] = {
        "name": name,
        "root": str(folder / name),
        "port": 0,
        "token": TOKEN,
        "slots": 2,
        # In this tier a task's own process id is the one that others know it by.
        "policy": Policy(tier=Tier.LANDLOCK, zygotes={"lean": ()}),
        "drain_seconds": 0.0,
    }
    return WorkerSettings(**(fields | changes))


StartWorker = Callable[..., WorkerProcess]


@pytest.fixture
def start_worker(tmp_path: Path) -> Iterator[StartWorker]:
    """Start workers that this test may harm; all are stopped after it."""
    started: list[WorkerProcess] = []

    def start(name: str = "w", disk_megabytes: int | None = None, **changes: Any) -> WorkerProcess:
        settings = create_settings(tmp_path, name, **changes)
        started.append(WorkerProcess(settings, tmp_path / f"{name}.log", disk_megabytes))
        return started[-1]

    yield start
    for worker in started:
        worker.stop()


@pytest.fixture(scope="module")
def shared_worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProcess]:
    """One worker for all tests of a module that leave it whole."""
    folder = tmp_path_factory.mktemp("shared")
    worker = WorkerProcess(create_settings(folder, "shared"), folder / "log")
    yield worker
    worker.stop()
