"""The log of NADG's own parts on standard error, for masters."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class _ToStderr(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        print(self.format(record), file=sys.stderr, flush=True)


@contextmanager
def shown_log(level: str) -> Iterator[None]:
    """For the length of a `with`, what is at least of this level."""
    log, handler = logging.getLogger("nadg"), _ToStderr()
    handler.setFormatter(logging.Formatter(FORMAT))
    before = log.level
    log.setLevel(level.upper())
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(before)
