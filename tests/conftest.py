"""For all tests: what a machine lacks is skipped here with its name, and is a failure where CI runs."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest
from hypothesis import settings

settings.register_profile("steady", derandomize=True, deadline=None)
settings.load_profile("steady")  # the same examples each time; `--hypothesis-profile=default` explores further

NEEDS = "needs "
"""A skip whose reason begins so says that a part of the machine is missing, such as `needs Landlock: …`."""
FOREIGN = (
    *("GEMINI_", "GOOGLE_API", "GOOGLE_GEMINI", "OPENAI_"),
    *("NADG_MODEL", "NADG_GOOGLE", "NADG_OPENAI", "NADG_MASTER"),
)


@pytest.fixture(autouse=True, scope="session")
def no_models_of_the_user() -> Generator[None, None, None]:
    """Whoever runs the tests may have keys and settings of their own: no test shall ask their model or master.

    Masters that tests start listen wherever there is room.
    """
    kept = {name: os.environ.pop(name) for name in tuple(os.environ) if name.upper().startswith(FOREIGN)}
    os.environ["NADG_MASTER_PORT"] = "0"
    yield
    del os.environ["NADG_MASTER_PORT"]
    os.environ.update(kept)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and os.environ.get("CI") and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        reason = reason.removeprefix("Skipped: ")
        if reason.startswith(NEEDS):
            report.outcome = "failed"
            report.longrepr = f"CI=true, and this machine lacks a part that a test needs: {reason}"
    return report
