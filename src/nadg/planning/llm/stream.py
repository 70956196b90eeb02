"""Subtasks out of a plan that is still being written: each is handed out when its closing brace has come.

A reader of JSON by its brackets and quotes alone. It looks at every character once, whatever the pieces
that the text comes in, and keeps nothing but the subtask that is being written.
"""

from __future__ import annotations

import json
import re

_TEXT_STOP = re.compile(r'["\\]')
_MARK = re.compile(r'["{}\[\]]')
_ROOT_FIELD = "subtasks"


class SubtaskReader:
    """Fed with the text of a plan, gives the JSON text of each object in its list `subtasks`.

    Whatever stands before the plan's opening brace, such as prose or the fence of a code block, is passed
    over, and so is all that comes after its closing brace. Text that is no JSON gives fewer subtasks or
    none, never an error.
    """

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Forget everything: the text begins anew."""
        self._opened = False
        """A brace has come before the plan, and what follows it will show whether it is the plan's."""
        self._depth = 0
        self._ended = False
        self._in_text = False
        self._escaped = False
        self._key: list[str] | None = None
        self._field = ""
        """The last text right inside the plan: before a list it can only be the list's key."""
        self._in_list = False
        self._had_list = False
        self._subtask: list[str] | None = None

    @property
    def ended(self) -> bool:
        """Whether the plan's closing brace has come."""
        return self._ended

    def feed(self, piece: str) -> list[str]:
        """The subtasks that this piece completes, in order."""
        found: list[str] = []
        at = 0 if self._depth else self._find_root(piece)
        while at < len(piece) and not self._ended:
            at = self._read_text(piece, at) if self._in_text else self._read_marks(piece, at, found)
        return found

    def _find_root(self, piece: str) -> int:
        """Where to read on once the plan is open: a brace that a quote or a closing brace follows is its first."""
        if self._ended:
            return len(piece)
        for index, char in enumerate(piece):
            if char == "{":
                self._opened = True
            elif self._opened and char in '"}':
                self._depth = 1
                return index
            elif not char.isspace():
                self._opened = False
        return len(piece)

    def _read_text(self, piece: str, at: int) -> int:
        """Go on inside a JSON string, to its end or to that of the piece."""
        start = at
        if self._escaped:
            self._escaped = False
            at += 1
        while found := _TEXT_STOP.search(piece, at):
            at = found.end()
            if found.group() == '"':
                self._in_text = False
                self._keep(piece, start, at)
                self._end_key()
                return at
            if at == len(piece):
                self._escaped = True
                break
            at += 1
        self._keep(piece, start, len(piece))
        return len(piece)

    def _end_key(self) -> None:
        if self._key is not None:
            self._field = _key_of("".join(self._key))
            self._key = None

    def _keep(self, piece: str, start: int, stop: int) -> None:
        for kept in (self._subtask, self._key):
            if kept is not None:
                kept.append(piece[start:stop])

    def _read_marks(self, piece: str, at: int, found: list[str]) -> int:
        """Go on between strings, to the next mark of JSON or to the end of the piece."""
        mark = _MARK.search(piece, at)
        stop = mark.end() if mark else len(piece)
        char = mark.group() if mark else ""
        if char == "{" and self._in_list and self._depth == 2:
            self._subtask = []
            at = stop - 1
        self._keep(piece, at, stop)
        if char == '"':
            self._in_text = True
            if self._depth == 1:
                self._key = ['"']
        elif char in ("{", "["):
            self._open(char)
        elif char in ("}", "]"):
            self._close(found)
        return stop

    def _open(self, char: str) -> None:
        if char == "[" and self._depth == 1 and self._field == _ROOT_FIELD and not self._had_list:
            self._in_list = self._had_list = True
        self._depth += 1

    def _close(self, found: list[str]) -> None:
        self._depth -= 1
        if self._depth == 2 and self._subtask is not None:
            found.append("".join(self._subtask))
            self._subtask = None
        elif self._depth == 1:
            self._in_list = False
        self._ended = self._depth == 0


def _key_of(raw: str) -> str:
    """A key as it reads, escapes undone; empty where it is no JSON."""
    try:
        key = json.loads(raw)
    except ValueError:
        return ""
    return key if isinstance(key, str) else ""
