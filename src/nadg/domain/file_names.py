r"""What a file is called whose name may be any bytes: as text that says exactly which, and for people.

A name in listings, JSON and the store is UTF-8 text. Bytes that are no UTF-8 stand as `\xNN`, and a backslash
that would read as the begin of such an escape stands as `\x5c`, so no two files share a name and every name leads
back to its bytes.
"""

from __future__ import annotations

import re

from nadg.domain.safe_text import written_out

_LOOKS_ESCAPED = re.compile(rb"\\(?=x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})")
_ESCAPED = re.compile(rb"\\x(5c|[89a-f][0-9a-f])")
"""Never a slash, a dot or NUL: what a name stands for has the folders that the name shows."""
SHOWN_CHARACTERS = 80


def name_of_bytes(raw: bytes) -> str:
    """The name of a file as text. Injective."""
    return _LOOKS_ESCAPED.sub(rb"\\x5c", raw).decode("utf-8", "backslashreplace")


def bytes_of_name(name: str) -> bytes:
    """The bytes that a name stands for: the inverse of `name_of_bytes`."""
    return _ESCAPED.sub(lambda found: bytes.fromhex(found[1].decode()), name.encode("utf-8", "surrogateescape"))


def shown_name(name: str, most: int = SHOWN_CHARACTERS) -> str:
    r"""A name on one line for people: what is invisible or moves text is written out (`\x0a`, `\u202e`)."""
    if len(name) <= most and name.isprintable():
        return name
    text = "".join(char if char.isprintable() else written_out(char) for char in name[: most + 1])
    return text if len(text) <= most else text[: most - 1] + "…"
