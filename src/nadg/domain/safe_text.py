"""Text of others (users, models, task output, file names) made harmless for terminals and readers.

An escape sequence can move the cursor, rewrite what was shown or set the clipboard; a bidirectional
override can make text read as something else. Both are shown as what they are, never obeyed. It holds for what is
printed and for the Markdown that people `cat`.
"""

from __future__ import annotations

import re

_HARMFUL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # controls, tab and newline excepted
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u206f"  # direction marks, overrides, isolates, deprecated formats
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
    return _HARMFUL.sub(lambda found: written_out(found.group()), text)


def written_out(char: str) -> str:
    """One character as its escape: `\\x1b`, `\\u202e`, `\\U000e0001`."""
    code = ord(char)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
