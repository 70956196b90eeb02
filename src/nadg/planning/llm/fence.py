"""A fence around data in a prompt, which nothing in the data can close.

Three things hold it: the marks are made of a hash of what stands between them, every line of data starts
with a bar, and characters that end lines or move text are written out.
"""

from __future__ import annotations

import hashlib

from nadg.domain.safe_text import printable

BAR = "| "
_OPENING, _CLOSING = "<<<data ", "<<<end of data "
_MARK_CHARACTERS = 16


def fenced(text: str) -> str:
    """The text as a block of data; the same text always gives the same block."""
    lines = printable(text).split("\n")
    mark = _mark("\n".join(lines))
    return "\n".join([f"{_OPENING}{mark}>>>", *(BAR + line for line in lines), f"{_CLOSING}{mark}>>>"])


def _mark(text: str) -> str:
    """A word that the text does not hold, which nobody who wrote the text could know."""
    data = text.encode()
    for turn in range(1 << 16):
        mark = hashlib.sha256(b"%d:" % turn + data).hexdigest()[:_MARK_CHARACTERS]
        if mark not in text:
            return mark
    raise AssertionError("no text holds the hashes of itself")
