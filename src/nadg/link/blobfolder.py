"""Blobs as read-only files in a folder, named by their SHA-256: `ROOT/ab/abcd…`.

A blob appears by one rename, when it is whole and its hash is known. Several processes and
threads may share a folder. With a size given it is a cache: what was used longest ago goes first, never
what is pinned.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
import tempfile
import threading
from collections import Counter, OrderedDict
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from nadg.domain.blob import BlobRef
from nadg.domain.clock import Clock, SystemClock
from nadg.domain.errors import BlobRefused, NotFound

COPY_BYTES = 1 << 20
REFRESH_SECONDS = 3_600.0
"""So old may the time of a blob get that somebody asks for: far less than what is forgotten as too old."""
FRESH_SECONDS = 60.0
"""What was written or used within this time is not evicted: its user may be about to pin it."""


class BlobFolder:
    """Keeps blobs under `root`; with `max_bytes`, at most that many beside the pinned and fresh ones."""

    def __init__(self, root: Path, max_bytes: int | None = None, *, clock: Clock | None = None) -> None:
        self._root = root
        self._incoming = root / "incoming"
        self._incoming.mkdir(parents=True, exist_ok=True)
        self._max_bytes = max_bytes
        self._clock = clock or SystemClock()
        self._lock = threading.RLock()
        self._pins: Counter[str] = Counter()
        self._known: OrderedDict[str, tuple[int, float]] = OrderedDict()  # name -> size, time of last use
        self._known_bytes = 0
        self._clean_leftovers()
        if max_bytes is not None:
            self._scan()

    def path(self, sha256: str) -> Path:
        """The blob's read-only file. Raises NotFound."""
        path = self._path(sha256)
        if not path.is_file():
            raise NotFound(f"blob {sha256} is not in {self._root}")
        self._touch(sha256)
        return path

    def has(self, sha256: str) -> bool:
        """Whether it is here. Whoever asks may be about to name it in a run: it counts as put anew, about."""
        if not is_sha256(sha256):
            return False
        path = self._path(sha256)
        try:
            status = path.stat()
            if self._clock.now().timestamp() - status.st_mtime > REFRESH_SECONDS:
                os.utime(path)
        except PermissionError:  # another user's, in a folder that is shared
            return path.is_file()
        except (FileNotFoundError, NotADirectoryError):
            return False
        return stat.S_ISREG(status.st_mode)

    def read(self, sha256: str) -> bytes:
        """The whole content. Raises NotFound."""
        return self.path(sha256).read_bytes()

    def create(self) -> BlobFile:
        return BlobFile(self, self._incoming)

    def put(self, data: bytes) -> BlobRef:
        """Keep these bytes. Costs only the hash where they are kept already."""
        ref = BlobRef(sha256=hashlib.sha256(data).hexdigest(), size=len(data))
        if self.has(ref.sha256):
            os.utime(self._path(ref.sha256))
            self._touch(ref.sha256)
            return ref
        with self.create() as writer:
            writer.write(data)
            return writer.commit(ref.sha256)

    def adopt(self, path: Path) -> BlobRef:
        """Copy a file in; the file itself stays as it is. Raises OSError where it cannot be read."""
        with path.open("rb") as source, self.create() as writer:
            while data := source.read(COPY_BYTES):
                writer.write(data)
            return writer.commit()

    def forget_older(self, seconds: float, keep: Collection[str]) -> tuple[int, int]:
        """Remove blobs last put longer ago than that which are not to be kept; how many, and their bytes."""
        before = self._clock.now().timestamp() - seconds
        count = size = 0
        for entry in sorted(self._root.glob("??/*")):
            status = entry.stat()
            if is_sha256(entry.name) and entry.name not in keep and status.st_mtime < before:
                entry.unlink(missing_ok=True)
                count, size = count + 1, size + status.st_size
        return count, size

    @contextmanager
    def pinned(self, sha256s: Iterable[str]) -> Iterator[None]:
        """Keep these from being evicted for the length of a `with`, whether present yet or not."""
        names = tuple(sha256s)
        self.pin(names)
        try:
            yield
        finally:
            self.unpin(names)

    def pin(self, sha256s: Iterable[str]) -> None:
        """Keep these until as many calls of `unpin`."""
        with self._lock:
            self._pins.update(sha256s)

    def unpin(self, sha256s: Iterable[str]) -> None:
        """Undo one `pin` of each."""
        names = tuple(sha256s)
        with self._lock:
            self._pins.subtract(names)
            for name in names:
                if self._pins[name] <= 0:
                    del self._pins[name]
        self._evict()

    @property
    def size_bytes(self) -> int:
        """What a folder with a size holds; 0 for one without."""
        return self._known_bytes

    def _adopt_file(self, incoming: Path, ref: BlobRef) -> None:
        """Give a finished file its name. Of several writers of one blob the last wins, with equal bytes."""
        target = self._path(ref.sha256)
        target.parent.mkdir(exist_ok=True)
        incoming.replace(target)
        if self._max_bytes is not None:
            self._remember(ref.sha256, ref.size, self._clock.monotonic())
            self._evict()

    def _path(self, sha256: str) -> Path:
        if not is_sha256(sha256):
            raise NotFound(f"{sha256[:80]!r} is not the name of a blob")
        return self._root / sha256[:2] / sha256

    def _touch(self, sha256: str) -> None:
        if self._max_bytes is None:
            return
        with self._lock:
            if sha256 in self._known:
                self._known[sha256] = (self._known[sha256][0], self._clock.monotonic())
                self._known.move_to_end(sha256)

    def _remember(self, sha256: str, size: int, used: float) -> None:
        with self._lock:
            if sha256 not in self._known:
                self._known_bytes += size
            self._known[sha256] = (size, used)
            self._known.move_to_end(sha256)

    def _evict(self) -> None:
        if self._max_bytes is None or self._known_bytes <= self._max_bytes:
            return
        fresh = self._clock.monotonic() - FRESH_SECONDS
        with self._lock:
            for sha256, (size, used) in list(self._known.items()):
                if self._known_bytes <= self._max_bytes or used > fresh:
                    return
                if sha256 not in self._pins:
                    self._path(sha256).unlink(missing_ok=True)
                    del self._known[sha256]
                    self._known_bytes -= size

    def _scan(self) -> None:
        found = [(entry, entry.stat()) for entry in self._root.glob("??/*") if is_sha256(entry.name)]
        long_ago = self._clock.monotonic() - 2 * FRESH_SECONDS
        for entry, status in sorted(found, key=lambda one: one[1].st_mtime):
            self._remember(entry.name, status.st_size, long_ago)
        self._evict()

    def _clean_leftovers(self) -> None:
        """Remove what killed processes left half written: files that nobody holds a lock on."""
        for entry in self._incoming.iterdir():
            try:
                with entry.open("rb") as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    entry.unlink(missing_ok=True)
            except (BlockingIOError, FileNotFoundError):
                continue


class BlobFile:
    """A blob being written; also a context manager that aborts what was not committed."""

    def __init__(self, folder: BlobFolder, incoming: Path) -> None:
        self._folder = folder
        self._hash = hashlib.sha256()
        self._size = 0
        self._fd, self._path = _create_locked(incoming)

    def write(self, data: bytes) -> None:
        self._hash.update(data)
        self._size += len(data)
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError as error:  # a full disk, most of all: the error of a descriptor does not say which
            raise OSError(error.errno, error.strerror, str(self._path.parent)) from error

    def commit(self, expected_sha256: str | None = None) -> BlobRef:
        """Make the blob visible. Raises BlobRefused, and keeps nothing, where the hash differs."""
        ref = BlobRef(sha256=self._hash.hexdigest(), size=self._size)
        if expected_sha256 is not None and ref.sha256 != expected_sha256:
            self.abort()
            raise BlobRefused(f"{ref.size} bytes that came as blob {expected_sha256} hash to {ref.sha256}")
        os.fchmod(self._fd, 0o444)
        self._folder._adopt_file(self._path, ref)
        self._close()
        return ref

    def abort(self) -> None:
        """Forget what was written; harmless after `commit`."""
        if self._fd >= 0:
            self._path.unlink(missing_ok=True)
            self._close()

    def _close(self) -> None:
        os.close(self._fd)
        self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.abort()


def _create_locked(folder: Path) -> tuple[int, Path]:
    """A new file that is locked for as long as it is open, so that no other process cleans it away."""
    while True:
        fd, name = tempfile.mkstemp(dir=folder)
        fcntl.flock(fd, fcntl.LOCK_EX)
        if os.fstat(fd).st_nlink:
            return fd, Path(name)
        os.close(fd)  # cleaned away between its making and its lock


def is_sha256(text: str) -> bool:
    """Whether this is a lower-case hexadecimal SHA-256, and so no path to somewhere else."""
    return len(text) == 64 and not set(text) - set("0123456789abcdef")
