"""Markdown of models and tasks made such that showing it reaches nobody, and every link reads as where it leads.

A picture with a remote address tells its server, as soon as the answer is looked at, whatever the address
holds; a link can hide one. Both are written out as plain text, address and all. Pictures and files of the
run itself, `artifacts/…`, stay as they are, and so do blocks of code.
"""

from __future__ import annotations

import re

# Each may be escaped already, by an odd number of backslashes: one more would bring it back to life.
_OUTWARD = re.compile(r"(?<!\\)((?:\\\\)*\])\((?!artifacts/[\w%.~/-]*\)|#[\w-]*\))")
"""Where the text of a link or picture ends and something begins that is no file of this run."""
_DEFINITION = re.compile(r"(?<!\\)((?:\\\\)*\]):")
"""Whether it defines an address for links elsewhere, only a reader of Markdown can tell."""
_TAG = re.compile(
    r"(?<!\\)((?:\\\\)*)<(?!https?://[^\s<>]*>)(?=[a-zA-Z][^<>]*=|/?(?:style|script|base)\b)", re.IGNORECASE
)
"""HTML that can load something has attributes, or is a style sheet or script."""
_FENCE = re.compile(r"(`{3,}|~{3,})([^\n]*)")


def plain_markdown(text: str) -> str:
    """The text with links, pictures and HTML that lead out of the answer shown as they are written."""
    made: list[str] = []
    outside: list[str] = []
    fence: re.Pattern[str] | None = None
    for line in text.split("\n"):
        if fence is None and (fence := _closing_of(line)) is not None:
            made += [*_harmless(outside), line]
            outside = []
        elif fence is not None:
            made.append(line)
            fence = None if fence.fullmatch(line) else fence
        else:
            outside.append(line)
    return "\n".join([*made, *_harmless(outside)])


def _closing_of(line: str) -> re.Pattern[str] | None:
    """What ends the block of code that this line begins; None where it begins none.

    Only where it stands at the margin: further in, it may belong to a list item, which can end before it.
    """
    found = _FENCE.fullmatch(line)
    if found is None or (found[1].startswith("`") and "`" in found[2]):
        return None
    return re.compile(f" {{0,3}}{re.escape(found[1])}{re.escape(found[1][0])}*[ \t]*")


def _harmless(lines: list[str]) -> list[str]:
    """As one text, since a tag may go over several lines."""
    if not lines:
        return []
    text = _OUTWARD.sub(r"\1\\(", "\n".join(lines))
    text = _DEFINITION.sub(r"\1\\:", text)
    return _TAG.sub(r"\1\\<", text).split("\n")
