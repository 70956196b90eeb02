"""Text of others (users, models, task output, file names) made harmless for a terminal.

An escape sequence can move the cursor, rewrite what was shown or set the clipboard; a bidirectional
override can make text read as something else. Both are shown as what they are, never obeyed.
"""

from __future__ import annotations

import re

_HARMFUL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # controls, tab and newline excepted
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # direction marks, overrides and isolates
    "\u2028\u2029"  # line and paragraph separators
    "\ud800-\udfff]"  # halves of characters: not encodable
)


def printable(text: str, *, keep_lines: bool = True) -> str:
    """The text with control characters written out as `\\x1b` or `\\u202e`.

    Line ends and tabs stay; with `keep_lines=False` they become single spaces.
    """
    text = text.replace("\r\n", "\n")
    if not keep_lines:
        text = re.sub(r"\s*\n\s*|\t", " ", text)
    return _HARMFUL.sub(_written_out, text)


def one_line(text: str, width: int = 80) -> str:
    """The text on one line, cut with an ellipsis where it is longer than `width` characters."""
    flat = printable(" ".join(text.split()), keep_lines=False)
    return flat if len(flat) <= width else flat[: width - 1].rstrip() + "…"


def _written_out(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
