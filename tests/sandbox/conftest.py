"""A sandbox that many tests share."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nadg.domain.limits import Limits
from nadg.sandbox import Ending, Policy, Request, Sandbox
from tests.sandbox.folder_blobs import FolderBlobs


@dataclasses.dataclass
class Box:
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

    def value(self, source: str, **request: Any) -> Any:
        """The result of an attempt that must succeed."""
        ending = self.run(source, **request)
        assert ending.kind == "succeeded", f"{ending.reason}\n{ending.detail}\n{ending.stderr_tail}"
        return self.decoded(ending)

    def decoded(self, ending: Ending) -> Any:
        assert ending.result is not None
        if ending.result.blob is not None:
            return json.loads(self.blobs.path(ending.result.blob.sha256).read_bytes())
        return json.loads(ending.result.inline or b"")

    def artifacts(self, ending: Ending) -> dict[str, bytes]:
        return {one.name: self.blobs.path(one.blob.sha256).read_bytes() for one in ending.artifacts}


@pytest.fixture(scope="session")
def short_folder() -> Iterator[Path]:
    """A folder below the system's temporary one that any user may enter."""
    with tempfile.TemporaryDirectory(prefix="nadg-test-") as folder:
        path = Path(folder)
        path.chmod(0o755)
        yield path


def _open_box(root: Path, policy: Policy) -> Iterator[Box]:
    blobs = FolderBlobs(root / "blobs")
    with asyncio.Runner() as runner:
        sandbox = Sandbox(policy, root / "attempts", blobs)
        runner.run(sandbox.__aenter__())
        try:
            yield Box(runner, sandbox, root, blobs)
        finally:
            runner.run(sandbox.__aexit__(None, None, None))


@pytest.fixture(scope="session")
def box(short_folder: Path) -> Iterator[Box]:
    """One sandbox with a lean zygote, shared by all tests that do not harm it."""
    root = short_folder / "shared"
    root.mkdir()
    yield from _open_box(root, Policy(zygotes={"lean": ()}))


@pytest.fixture(scope="session")
def data_box(short_folder: Path) -> Iterator[Box]:
    """One with the data zygote as well."""
    root = short_folder / "data"
    root.mkdir()
    yield from _open_box(root, Policy())


@pytest.fixture
def open_box(tmp_path_factory: pytest.TempPathFactory, short_folder: Path) -> Iterator[Callable[..., Box]]:
    """Opens a sandbox of the test's own, with its own policy."""
    opened: list[Iterator[Box]] = []

    def make(**policy: Any) -> Box:
        root = Path(tempfile.mkdtemp(dir=short_folder))
        root.chmod(0o755)
        boxes = _open_box(root, Policy(**{"zygotes": {"lean": ()}, **policy}))
        opened.append(boxes)
        return next(boxes)

    yield make
    for boxes in opened:
        for _ in boxes:
            pass
