"""A sandbox that many tests share."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nadg.domain.limits import Limits
from nadg.domain.tier import Tier
from nadg.sandbox import Ending, Policy, Request, Sandbox
from nadg.sandbox.policy import TASK_UID
from tests.sandbox.endings import ReadsEndings
from tests.sandbox.folder_blobs import FolderBlobs


@dataclasses.dataclass
class Box(ReadsEndings):
    """A running sandbox for synchronous tests."""

    runner: asyncio.Runner
    sandbox: Sandbox
    root: Path
    blobs: FolderBlobs

    def run(self, source: str, *, output: list[tuple[str, str]] | None = None, **request: Any) -> Ending:
        """Run one attempt to its end."""
        limits = request.pop("limits", None) or Limits(wall_seconds=30, cpu_seconds=20, memory_megabytes=512)
        full = Request(attempt_id="r/s/0/1", source=source, limits=limits, **request)
        told = output if output is not None else []
        return self.runner.run(self.sandbox.run(full, lambda stream, text: told.append((stream, text))))

    def settle(self) -> None:
        """Wait until what attempts left is removed."""
        pool = self.sandbox._pool
        if pool is not None and pool._removals:
            self.runner.run(asyncio.wait(pool._removals))


@pytest.fixture(scope="session")
def short_folder() -> Iterator[Path]:
    """A folder below the system's temporary one that any user may enter."""
    with tempfile.TemporaryDirectory(prefix="nadg-test-") as folder:
        path = Path(folder)
        path.chmod(0o755)
        yield path


def _open_box(root: Path, policy: Policy, **parts: Any) -> Iterator[Box]:
    blobs = FolderBlobs(root / "blobs")
    with asyncio.Runner() as runner:
        sandbox = Sandbox(policy, root / "attempts", blobs, **parts)
        runner.run(sandbox.__aenter__())
        try:
            yield Box(runner, sandbox, root, blobs)
        finally:
            runner.run(sandbox.__aexit__(None, None, None))


@pytest.fixture(scope="session", params=[Tier.NAMESPACES, Tier.LANDLOCK], ids=str)
def tier(request: pytest.FixtureRequest) -> Tier:
    """Each confining tier; which of them a machine must have is for `threats/test_combinations.py` to judge."""
    wanted: Tier = request.param
    if wanted is Tier.NAMESPACES and not _has_namespaces():
        pytest.skip("this machine refuses new namespaces")
    return wanted


def _has_namespaces() -> bool:
    """Whether an ordinary user's process may make them here."""
    source = "import ctypes, sys; sys.exit(ctypes.CDLL(None).unshare(0x10000000 | 0x00020000))"
    user = TASK_UID if os.geteuid() == 0 else None
    python = "/usr/bin/python3" if Path("/usr/bin/python3").exists() else sys.executable
    return subprocess.run([python, "-c", source], user=user, check=False, capture_output=True).returncode == 0


@pytest.fixture(scope="session")
def box(short_folder: Path, tier: Tier) -> Iterator[Box]:
    """One sandbox with a lean zygote, shared by all tests that do not harm it."""
    root = short_folder / f"shared-{tier}"
    root.mkdir()
    yield from _open_box(root, Policy(tier=tier, zygotes={"lean": ()}))


@pytest.fixture(scope="session")
def data_box(short_folder: Path, tier: Tier) -> Iterator[Box]:
    """One with the data zygote as well."""
    root = short_folder / f"data-{tier}"
    root.mkdir()
    yield from _open_box(root, Policy(tier=tier))


@pytest.fixture
def open_box(short_folder: Path, tier: Tier) -> Iterator[Callable[..., Box]]:
    """Opens a sandbox of the test's own, with its own policy and other parts."""
    opened: list[Iterator[Box]] = []

    def make(parts: dict[str, Any] | None = None, **policy: Any) -> Box:
        root = Path(tempfile.mkdtemp(dir=short_folder))
        root.chmod(0o755)
        boxes = _open_box(root, Policy(**{"tier": tier, "zygotes": {"lean": ()}, **policy}), **(parts or {}))
        opened.append(boxes)
        return next(boxes)

    yield make
    for boxes in opened:
        for _ in boxes:
            pass
