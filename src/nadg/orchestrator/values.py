"""JSON values on their way: inline while small, a blob when large."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from nadg.domain.blob import INLINE_BYTES, Blobs, Value


def store_value(encoded: bytes, blobs: Blobs) -> Value:
    """Wrap an encoded JSON value."""
    if len(encoded) <= INLINE_BYTES:
        return Value(inline=encoded)
    writer = blobs.create()
    try:
        writer.write(encoded)
        return Value(blob=writer.commit())
    finally:
        writer.abort()


def read_value(value: Value, blobs: Blobs) -> bytes:
    """The encoded JSON. Raises NotFound where its blob is gone."""
    if value.inline is not None:
        return value.inline
    assert value.blob is not None
    return blobs.path(value.blob.sha256).read_bytes()


def encode_items(items: Sequence[msgspec.Raw], blobs: Blobs) -> Value:
    """A JSON list of encoded values."""
    return store_value(msgspec.json.encode(list(items)), blobs)
