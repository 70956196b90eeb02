"""A worker's folder is one worker's alone, and others can tell whether it lives."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

from nadg.domain.errors import UserError

LOCK_NAME = "lock"


@contextlib.contextmanager
def take_folder(root: Path) -> Iterator[None]:
    """Have this folder for as long as the process lives at most. Raises UserError where another worker has it."""
    root.mkdir(parents=True, exist_ok=True)
    with (root / LOCK_NAME).open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"another worker keeps its things in {root}; give each a folder of its own") from None
        yield


def is_in_use(root: Path) -> bool:
    """Whether a worker lives in this folder; a killed one does not, whatever it left."""
    try:
        with (root / LOCK_NAME).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
