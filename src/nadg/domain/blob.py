"""Files and values named by what they contain."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Protocol

import msgspec

INLINE_BYTES = 64 << 10
"""A JSON value up to this size travels inside its frame; a larger one becomes a blob."""

# References have `gc=False`: there may be 100,000 of them, they hold only text and numbers and so can be in no
# cycle, and the garbage collector, which stops every thread, need not walk them.


class BlobRef(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Content by name: the lower-case hexadecimal SHA-256 and the size in bytes."""

    sha256: str
    size: int


class FileRef(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A file with a relative POSIX name (`reviews.csv`, `charts/a.png`) and its content.

    A name of any bytes is text as `nadg.domain.file_names` says.
    """

    name: str
    blob: BlobRef


class Value(msgspec.Struct, frozen=True, kw_only=True):
    """A JSON value: its encoded bytes inline, or a blob that holds them. Exactly one is set."""

    inline: bytes | None = None
    blob: BlobRef | None = None

    @property
    def sha256(self) -> str:
        """The hash of the encoded value, wherever it stands."""
        if self.blob is not None:
            return self.blob.sha256
        return hashlib.sha256(self.inline or b"").hexdigest()


class BlobWriter(Protocol):
    """A blob being written; its name is known when it is whole."""

    def write(self, data: bytes) -> None: ...

    def commit(self, expected_sha256: str | None = None) -> BlobRef:
        """Make the blob visible. Raises BlobRefused, and keeps nothing, where the hash differs."""
        ...

    def abort(self) -> None:
        """Forget what was written; harmless after `commit`."""
        ...


class Blobs(Protocol):
    """A place that keeps blobs as files."""

    def path(self, sha256: str) -> Path:
        """The blob's read-only file. Raises NotFound."""
        ...

    def has(self, sha256: str) -> bool: ...

    def create(self) -> BlobWriter: ...
