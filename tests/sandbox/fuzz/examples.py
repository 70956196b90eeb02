"""How many examples a fuzz test tries: few in the usual run, as many as one likes in a long one."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings

FACTOR_VARIABLE = "NADG_FUZZ_FACTOR"
"""`NADG_FUZZ_FACTOR=100 pytest tests/sandbox/fuzz --hypothesis-profile=default` tries more and other ones."""


def tried(examples: int) -> Callable[[Any], Any]:
    """Settings of a test that is given so many examples in the usual run; fixtures serve all of them."""
    factor = int(os.environ.get(FACTOR_VARIABLE, "1"))
    ignored = (HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large)
    return settings(max_examples=examples * factor, deadline=None, suppress_health_check=ignored)
