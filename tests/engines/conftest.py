"""Real worker processes, and how local ones are launched, for the tests of this folder."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nadg.engines.local import Launch
from tests.support.worker_process import create_settings, shared_worker, start_worker

__all__ = ["shared_worker", "start_worker"]


@pytest.fixture
def launch(tmp_path: Path) -> Callable[..., Launch]:
    """How a local worker is launched."""

    def make(name: str = "local", **changes: Any) -> Launch:
        settings = create_settings(tmp_path, name, **changes)
        argv = (sys.executable, "-m", "nadg.worker")
        return Launch(argv=argv, settings=settings.line(), token=settings.token, log=tmp_path / f"{name}.log")

    return make
