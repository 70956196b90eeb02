"""One bare zygote of each tier for all fuzz tests."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from nadg.domain.tier import Tier
from tests.sandbox.fuzz.bare_zygote import BareZygote, bare_zygote


@pytest.fixture(scope="session")
def zygote(short_folder: Path, tier: Tier) -> Iterator[BareZygote]:
    root = Path(tempfile.mkdtemp(dir=short_folder))
    root.chmod(0o755)
    with bare_zygote(root, tier.value) as running:
        yield running
