"""One grid with an imitated model for all tests of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.model_grid import ModelGrid, model_grid


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelGrid]:
    with model_grid(tmp_path_factory.mktemp("grid") / "home") as opened:
        yield opened


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider that is down stays down here: nobody waits for it, and no test hears of another's outage."""
    monkeypatch.setattr("nadg.orchestrator.prompt_engine.PAUSES_SECONDS", (0.01,))
    monkeypatch.setattr("nadg.models.breaker.OPEN_SECONDS", 0.0)
