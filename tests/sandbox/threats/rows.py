"""The table of threats: every row has a number, and a test named after it runs in every combination."""

from __future__ import annotations

import re
from typing import Final

ROWS: Final = {
    1: "environment of parent and PID 1",
    2: "memory of other processes",
    3: "ptrace",
    4: "the app, .env, ~/.ssh",
    5: "writing outside the work folder",
    6: "another task's folder",
    7: "truncation below Landlock ABI 3",
    8: "inherited descriptors",
    9: "shared stdin",
    10: "signals to the parent and to all",
    11: "signals to a sibling",
    12: "TCP",
    13: "UDP, DNS, raw, netlink, vsock",
    14: "IPv6",
    15: "abstract UNIX sockets",
    16: "pathname UNIX sockets",
    17: "descriptors over a socket",
    18: "io_uring",
    19: "userfaultfd, bpf, perf",
    20: "keyrings",
    21: "new namespaces",
    22: "fork bomb",
    23: "thread bomb",
    24: "survivors",
    25: "memory bomb",
    26: "CPU spin",
    27: "sleep and SIGSTOP",
    28: "ignored signals",
    29: "one huge file",
    30: "many files",
    31: "inode flood",
    32: "stdout flood",
    33: "bad UTF-8, NUL, ANSI",
    34: "symlink as output",
    35: "hard link as output",
    36: "FIFO, device, socket as output",
    37: "traversal in names",
    38: "forged result, pickle",
    39: "JSON depth, huge integers",
    40: "module poisoning",
    41: "buffered output",
    42: "a set-up step that fails",
    43: "setuid programs",
    44: "core dump, TIOCSTI",
    45: "a warm process that dies or hangs",
}

_NUMBERED: Final = re.compile(r"test_(\d\d)_")


def row_of(test: str) -> int | None:
    """The row that a test is named after; None for an attack beside the table."""
    found = _NUMBERED.match(test)
    return int(found[1]) if found else None
