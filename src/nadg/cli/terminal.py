"""The person at the terminal: asked one question at a time, and lent an editor."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import shutil
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

FALLBACK_EDITORS = ("editor", "nano", "vi")
LONGEST_LINE = 4096


class EditorFailed(Exception):
    """The editor could not be used; the message says why and what to do."""


class Person(Protocol):
    """Who decides about a plan."""

    @property
    def present(self) -> bool:
        """Whether there is anyone to ask."""
        ...

    async def ask(self, question: str) -> str | None:
        """One line, as typed; None where the input ended."""
        ...

    async def edit(self, file: Path) -> None:
        """Returns when the editor was closed. Raises EditorFailed."""
        ...


class TerminalPerson:
    """Asks on standard error and reads from standard input, both of which must be terminals."""

    @property
    def present(self) -> bool:
        return sys.stdin.isatty() and sys.stderr.isatty()

    async def ask(self, question: str) -> str | None:
        """What was typed before the question was shown is dropped: it was no answer to it."""
        import termios

        terminal = sys.stdin.fileno()
        termios.tcflush(terminal, termios.TCIFLUSH)
        sys.stderr.write(question)
        sys.stderr.flush()
        try:
            return await _read_line(terminal)
        except asyncio.CancelledError:
            sys.stderr.write("\n")  # below the question, where `^C` stands
            raise

    async def edit(self, file: Path) -> None:
        command = [*editor_command(os.environ), str(file)]
        with _interrupts_left_to_the_editor():
            try:
                process = await asyncio.create_subprocess_exec(*command)
                code = await process.wait()
            except OSError as error:
                raise EditorFailed(
                    f"the editor {command[0]!r} cannot be started ({error.strerror}); set VISUAL or EDITOR"
                ) from error
        if code != 0:
            raise EditorFailed(f"the editor {command[0]!r} ended with exit code {code}; nothing was changed")


def editor_command(environment: os._Environ[str] | dict[str, str]) -> Sequence[str]:
    """The words that start the user's editor: $VISUAL, $EDITOR, or one that is installed. Raises EditorFailed."""
    wanted = environment.get("VISUAL") or environment.get("EDITOR") or ""
    try:
        words = shlex.split(wanted)
    except ValueError as error:
        raise EditorFailed(f"VISUAL or EDITOR is no command ({error}); mend it") from None
    found = next((one for one in FALLBACK_EDITORS if shutil.which(one)), None)
    if not words and found is None:
        raise EditorFailed("there is no editor; set VISUAL or EDITOR")
    return words or [str(found)]


async def _read_line(descriptor: int) -> str | None:
    """Wait on the event loop, so that Ctrl-C is not kept waiting."""
    loop = asyncio.get_running_loop()
    line: asyncio.Future[bytes] = loop.create_future()
    read = bytearray()

    def readable() -> None:
        try:
            piece = os.read(descriptor, LONGEST_LINE)
        except OSError:  # the terminal is gone
            piece = b""
        read.extend(piece)
        if (not piece or b"\n" in piece) and not line.done():
            line.set_result(bytes(read))

    loop.add_reader(descriptor, readable)
    try:
        typed = await line
    finally:
        loop.remove_reader(descriptor)
    return typed.decode(errors="replace").split("\n")[0] if typed else None


@contextlib.contextmanager
def _interrupts_left_to_the_editor() -> Iterator[None]:
    """Ctrl-C in an editor reaches every process of the terminal, and is meant for the editor alone."""
    before = signal.signal(signal.SIGINT, lambda *_: None)  # SIG_IGN would be inherited by the editor
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
