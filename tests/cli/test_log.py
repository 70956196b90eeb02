"""NADG_LOG_LEVEL: what a master writes to standard error of its own doing."""

from __future__ import annotations

import logging
import re
from typing import Literal

import pytest

from nadg.cli.log import shown_log


@pytest.mark.parametrize(
    ("level", "shown"),
    [("debug", "debug info error"), ("info", "info error"), ("warning", "error"), ("error", "error")],
)
def test_the_log_shows_what_is_asked_for_and_nothing_afterwards(
    capsys: pytest.CaptureFixture[str], level: Literal["debug", "info", "warning", "error"], shown: str
) -> None:
    log, foreign = logging.getLogger("nadg.some.part"), logging.getLogger("alembic")
    with shown_log(level):
        for one in (log, foreign):
            one.debug("debug")
            one.info("info")
        log.error("error")
    log.info("afterwards")
    lines = capsys.readouterr().err.splitlines()
    assert [line.rpartition(": ")[2] for line in lines] == shown.split()
    assert re.match(r"\d{4}-\d\d-\d\d \S+ ERROR nadg\.some\.part: ", lines[-1])
