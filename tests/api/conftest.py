"""One master for all tests here: they leave it whole."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.support.master_process import MasterProcess


@pytest.fixture(scope="package")
def master(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MasterProcess]:
    one = MasterProcess(os.environ, tmp_path_factory.mktemp("master") / "home")
    yield one
    assert one.stop() == 0
    assert "Invalid HTTP" not in one.told
