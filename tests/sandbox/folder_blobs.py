"""A folder that keeps blobs as files, named by their hash."""

from __future__ import annotations

import hashlib
from pathlib import Path

from nadg.domain.blob import BlobRef
from nadg.domain.errors import BlobRefused, NotFound


class _Writer:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._data = bytearray()

    def write(self, data: bytes) -> None:
        self._data += data

    def commit(self, expected_sha256: str | None = None) -> BlobRef:
        name = hashlib.sha256(self._data).hexdigest()
        if expected_sha256 not in (None, name):
            raise BlobRefused(name)
        (self._folder / name).write_bytes(self._data)
        return BlobRef(sha256=name, size=len(self._data))

    def abort(self) -> None:
        self._data.clear()


class FolderBlobs:
    """Blobs as files of a folder, named by their hash."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)

    def path(self, sha256: str) -> Path:
        if not self.has(sha256):
            raise NotFound(sha256)
        return self.folder / sha256

    def has(self, sha256: str) -> bool:
        return (self.folder / sha256).exists()

    def create(self) -> _Writer:
        return _Writer(self.folder)
