"""What the tests of skills share: an empty folder to run in, and a call as the sandbox makes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from nadg.skills.call import run_skill

EXAMPLES = Path(__file__).parents[2] / "examples"
Call = Callable[..., Any]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder, as an attempt has it."""
    folder = tmp_path / "attempt"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def call(here: Path) -> Call:
    """`call(skill, *files, **arguments)` in the empty folder."""

    def run(name: str, *files: Path, **arguments: object) -> Any:
        inputs = {file.name: str(file) for file in files}
        return run_skill(name, arguments, inputs=inputs, needs={}, needs_files={}, missing={})

    return run


@pytest.fixture
def file(tmp_path: Path) -> Callable[[str, str | bytes], Path]:
    """Write an input file."""

    def write(name: str, content: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


@pytest.fixture(scope="session")
def reviews() -> Path:
    """3,708 sentences of product reviews, with human ratings."""
    return EXAMPLES / "reviews.csv"


@pytest.fixture(scope="session")
def cars() -> Path:
    """406 cars, with missing values."""
    return EXAMPLES / "cars.csv"


@pytest.fixture
def compose(here: Path) -> Call:
    """`compose({subtask: result}, folders, missing, **arguments)`."""

    def run(
        results: Mapping[str, object],
        folders: Mapping[str, Path] | None = None,
        missing: Mapping[str, str] | None = None,
        **arguments: object,
    ) -> Any:
        files = {name: str(folder) for name, folder in (folders or {}).items()}
        return run_skill(
            "report.compose", arguments, inputs={}, needs=results, needs_files=files, missing=missing or {}
        )

    return run
