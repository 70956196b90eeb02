"""Text of others on a terminal: made harmless, and on one line where there is room for one."""

from __future__ import annotations

from nadg.domain.safe_text import printable

__all__ = ["one_line", "printable"]


def one_line(text: str, width: int = 80) -> str:
    """The text on one line, cut with an ellipsis where it is longer than `width` characters."""
    flat = printable(" ".join(text.split()), keep_lines=False)
    return flat if len(flat) <= width else flat[: width - 1].rstrip() + "…"
