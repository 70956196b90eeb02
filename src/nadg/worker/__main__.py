"""A worker as a child of whoever started it: settings as one JSON line on stdin, whose end tells it to end.

So no setting, and no token, stands in an argument list or an environment.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

from nadg.domain.errors import NadgError
from nadg.worker.settings import read_settings

PR_SET_PDEATHSIG = 1


def main() -> int:
    """Exit code 2 with one sentence on stderr where it cannot start."""
    _hear_of_orphanage()
    try:
        settings = read_settings(_first_line(sys.stdin.fileno()))
        from nadg.worker.serve import serve  # after the settings: a bad line costs no import of the server

        serve(settings, stop_on_eof=True)
    except NadgError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _hear_of_orphanage() -> None:
    """Linux sends a signal when the parent is gone, which ends a worker that does not serve yet.

    Elsewhere the end of stdin tells, and for one that serves that is the same.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGHUP, 0, 0, 0)


def _first_line(fd: int) -> bytes:
    """Read a line and nothing beyond it."""
    line = bytearray()
    while not line.endswith(b"\n"):
        byte = os.read(fd, 1)
        if not byte:
            break
        line += byte
    return bytes(line)


if __name__ == "__main__":
    sys.exit(main())
