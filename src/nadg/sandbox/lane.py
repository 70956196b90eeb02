"""A lane: the folders and pipes that one process at a time uses, kept for the next one where it left no trace.

Making folders and pipes costs more than a trivial attempt. After an attempt whose every process is dead and
whose folders are empty, nothing of it is left in the lane, so the next attempt may have it.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from nadg.sandbox.cgroups import LaneGroup
from nadg.sandbox.output import CHUNK_BYTES, Output
from nadg.sandbox.remove import empty_folder_at, is_empty, remove_tree

_QUICKLY_REMOVED: Final = 32
"""Given files up to this many are removed at once, more of them off the event loop."""
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Lane:
    """`work` is the code's current folder, `tmp` its temporary one, `given` what it may only read.

    Where a task's own work folder is in memory, it lies over this one, which stays empty.
    """

    def __init__(
        self,
        folder: Path,
        task_uid: int | None,
        *,
        may_link: bool = True,
        given_seen_at: Path | None = None,
        group: LaneGroup | None = None,
    ) -> None:
        self.folder = folder
        self.group = group
        """The cgroup of its processes, where they have one."""
        self.given = folder / "given"
        self.given_seen_at = given_seen_at or self.given
        """Where the task sees `given`: elsewhere if it has a view of its own, and then its work is in memory."""
        self._is_on_disk = given_seen_at is None
        self._task_uid = task_uid
        self._may_link = may_link
        self._fds: list[int] = []
        try:
            for name in ("", "work", "tmp", "given"):
                self.make_folder(folder / name)
            self.work_fd = self._keep(os.open(folder / "work", _FOLDER))
            self._tmp_fd = self._keep(os.open(folder / "tmp", _FOLDER))
            self._stdout, stdout_writer = self._make_pipe()
            self._stderr, stderr_writer = self._make_pipe()
        except BaseException:
            self._close_fds()
            raise
        self.writers = (stdout_writer, stderr_writer)
        self._output: Output | None = None
        self._on_overflow: Callable[[], None] | None = None
        self._is_listening = False
        self.placed_files = 0
        """Files in `given` now."""

    @property
    def disk_fds(self) -> tuple[int, ...]:
        """The folders in which the code may leave things on disk."""
        return (self.work_fd, self._tmp_fd) if self._is_on_disk else ()

    def make_folder(self, path: Path) -> None:
        """A folder for the tasks' user alone."""
        path.mkdir(mode=0o700)
        if self._task_uid is not None:
            os.chown(path, self._task_uid, self._task_uid)

    def give_to_task(self, path: Path) -> None:
        """Let the tasks' user read a file that was copied for it."""
        path.chmod(0o400)
        if self._task_uid is not None:
            os.chown(path, self._task_uid, self._task_uid)

    def may_share(self, found: os.stat_result) -> bool:
        """Whether the tasks' user can read a file as it stands, so that a link to it will do."""
        if not self._may_link or not stat.S_ISREG(found.st_mode):
            return False
        if self._task_uid is None:
            return found.st_uid == os.geteuid() and bool(found.st_mode & stat.S_IRUSR)
        return bool(found.st_mode & stat.S_IROTH)

    def _keep(self, fd: int) -> int:
        self._fds.append(fd)
        return fd

    def _make_pipe(self) -> tuple[int, int]:
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        return self._keep(reader), self._keep(writer)

    def open_to(self, output: Output, on_overflow: Callable[[], None]) -> None:
        """Pass what is written to this attempt's output from now on."""
        self._output, self._on_overflow = output, on_overflow
        self._listen()

    def _listen(self) -> None:
        if not self._is_listening:
            loop = asyncio.get_running_loop()
            loop.add_reader(self._stdout, self._on_readable, self._stdout, "stdout")
            loop.add_reader(self._stderr, self._on_readable, self._stderr, "stderr")
            self._is_listening = True

    def _on_readable(self, fd: int, stream: str) -> None:
        output = self._output
        if not self._read_some(fd, stream):
            self._stop_listening()
            if self._on_overflow is not None:
                self._on_overflow()
        elif output is not None and output.hold is not None:
            self._stop_listening()
            output.hold.add_done_callback(lambda _: self._listen_again(output))

    def _listen_again(self, output: Output) -> None:
        """Read on, if it is still the same attempt that talks."""
        if self._output is output and self._fds:
            self._listen()

    def _read_some(self, fd: int, stream: str) -> bool:
        """Read once; False where the output limit is reached."""
        try:
            data = os.read(fd, CHUNK_BYTES)
        except BlockingIOError:
            return True
        return self._output is None or self._output.feed(stream, data)

    def drain(self) -> None:
        """Take what is left in the pipes after the attempt's end, as far as the output limit lets it."""
        for fd, stream in ((self._stdout, "stdout"), (self._stderr, "stderr")):
            while True:
                try:
                    data = os.read(fd, CHUNK_BYTES)
                except BlockingIOError:
                    break
                if self._output is not None and not self._output.feed(stream, data):
                    return

    def reset(self) -> bool:
        """Make ready for another attempt; False where this one left anything behind that takes time to undo."""
        self._output = self._on_overflow = None
        if not self._is_listening or self.placed_files > _QUICKLY_REMOVED:
            return False
        if not (is_empty(self.work_fd) and is_empty(self._tmp_fd)):
            return False
        if self.placed_files:
            empty_folder_at(self.given)
            self.placed_files = 0
        for fd in self.writers:
            fcntl.fcntl(fd, fcntl.F_SETFL, os.O_WRONLY)  # the code may have made it non-blocking
        return True

    def close(self) -> None:
        """Stop listening and close all descriptors; the folder stays for `remove`."""
        self._stop_listening()
        self._close_fds()

    def remove(self) -> None:
        """Remove folder and group of a closed lane; may block while many files are removed."""
        if self.group is not None:
            self.group.remove()
        remove_tree(self.folder)

    def _stop_listening(self) -> None:
        if self._is_listening:
            self._is_listening = False
            loop = asyncio.get_running_loop()
            for fd in (self._stdout, self._stderr):
                loop.remove_reader(fd)

    def _close_fds(self) -> None:
        while self._fds:
            with contextlib.suppress(OSError):
                os.close(self._fds.pop())
