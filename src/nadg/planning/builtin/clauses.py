"""A command cut at the places where one request may end and another begin.

The cuts are generous: `mean and median of price` is cut too. What belongs together is joined again later,
when it is known which pieces name a skill (see `nadg.planning.builtin.requests`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_STATEMENT_END = re.compile(r"[;\n\r]+|[.!?]+(?=\s|$)|->|=>|→|\s[–—-]\s|[•▪●]")
_LIST_MARK = re.compile(
    r"^[^\S\n]*(?:\(?\d{1,2}[.)]\s|\(?[a-hA-H]\)\s|[-*+•]\s|(?:first|second|third|fourth|fifth)(?:ly)?,?\s)+",
    re.I | re.M,
)
_INLINE_NUMBER = re.compile(r"(?<=\s)\(?\d{1,2}[.)]\s(?=[A-Za-z])")
_SOFT_CUT = re.compile(
    r"\s*,(?!\d)\s*(?:and\s+then|and|then|or)?\s+|\s*,(?!\d)\s*|\s+(?:as\s+well\s+as|and\s+also|and\s+then|and\s+finally"
    r"|along\s+with|together\s+with|followed\s+by|after\s+(?:that|which)|and\s+after\s+that|plus|and|then|also|finally"
    r"|afterwards|before)\s+|\s*&\s*|\s+\+\s+",
    re.I,
)
_COLON = re.compile(r":(?=\s)")
_INTRODUCES = "\uf8ff"
_QUOTED = re.compile(r"\"[^\"\n]{1,500}\"|“[^”\n]{1,500}”")
_AFTER = re.compile(r"(.*\S)\s+after\s+(\w+ing\b.*)", re.I | re.S)
_EDGE = re.compile(
    r"^(?:and|then|also|after(?=\s+\w+ing\b)|next|finally|lastly|plus|afterwards|before|after\s+that|please|kindly|now)\b[\s,]*"
    r"|[\s,]*\b(?:please|too|as\s+well|thanks|thank\s+you)$",
    re.I,
)


def statements(command: str, kept: Iterable[str] = ()) -> list[list[str]]:
    """The command as statements, each cut into pieces; quoted text and the texts in `kept` are never cut."""
    held = [text for text in sorted(set(kept), key=len, reverse=True) if _needs_keeping(text)]
    veiled = _QUOTED.sub(lambda match: _veil(match.group()), command)
    for text in held:
        veiled = re.sub(rf"(?<!\w){re.escape(text)}(?!\w)", lambda match: _veil(match.group()), veiled, flags=re.I)
    veiled = _INLINE_NUMBER.sub("\n", _LIST_MARK.sub("\n", veiled))
    found = []
    for statement in _STATEMENT_END.split(_COLON.sub(_INTRODUCES + "\n", veiled)):
        cut = [part for piece in _SOFT_CUT.split(statement) for part in _in_order(piece)]
        pieces = [_trimmed(_unveil(piece)) for piece in cut]
        # `Look at the reviews:` only introduces; what else stands before a colon is a request like any other.
        pieces = [piece.replace(_INTRODUCES, ":") for piece in pieces if piece.strip(_INTRODUCES)]
        if pieces:
            found.append(pieces)
    return found


def _in_order(piece: str) -> list[str]:
    """`describe it after cleaning it` as two pieces, the first one first."""
    found = _AFTER.fullmatch(piece)
    return [found[2], found[1]] if found else [piece]


def _needs_keeping(text: str) -> bool:
    return bool(_SOFT_CUT.search(text) or _STATEMENT_END.search(text) or re.search(r"[.\-:]", text))


_PRIVATE = 0xE000
"""Marks inside kept texts are moved to private code points, so that no cut sees them."""


def _veil(text: str) -> str:
    return "".join(chr(_PRIVATE + ord(mark)) if ord(mark) < 128 else mark for mark in text)


def _unveil(text: str) -> str:
    return "".join(chr(ord(mark) - _PRIVATE) if _PRIVATE <= ord(mark) < _PRIVATE + 128 else mark for mark in text)


def _trimmed(piece: str) -> str:
    previous = None
    piece = piece.strip(" \t,.:;!?")
    while piece != previous:
        previous = piece
        piece = _EDGE.sub("", piece).strip(" \t,.:;!?")
    return piece
