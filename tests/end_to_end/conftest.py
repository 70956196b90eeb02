"""One grid with an imitated model for all tests of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.model_grid import ModelGrid, model_grid


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelGrid]:
    with model_grid(tmp_path_factory.mktemp("grid") / "home") as opened:
        yield opened
