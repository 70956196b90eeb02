"""How large an image is, read from its first bytes without decoding it."""

from __future__ import annotations

import struct

_JPEG_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers of frames, whose headers name the size."""


def pixel_size(head: bytes) -> tuple[int, int] | None:
    """Width and height of a PNG, GIF, BMP or JPEG; None where they cannot be told from this much of it."""
    try:
        if head.startswith(b"\x89PNG\r\n\x1a\n"):
            return _pair(struct.unpack_from(">II", head, 16))
        if head.startswith((b"GIF87a", b"GIF89a")):
            return _pair(struct.unpack_from("<HH", head, 6))
        if head.startswith(b"BM"):
            return _pair(struct.unpack_from("<ii", head, 18))
        return _jpeg_size(head) if head.startswith(b"\xff\xd8") else None
    except struct.error:
        return None


def _jpeg_size(head: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(head) and head[at] == 0xFF:
        marker, length = head[at + 1], int.from_bytes(head[at + 2 : at + 4])
        if marker in _JPEG_SIZES:
            height, width = struct.unpack_from(">HH", head, at + 5)
            return width, height
        at += 2 + length
    return None


def _pair(sizes: tuple[int, ...]) -> tuple[int, int]:
    """A bitmap that is stored from the top has a negative height."""
    return abs(sizes[0]), abs(sizes[1])
