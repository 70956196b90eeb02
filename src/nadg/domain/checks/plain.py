"""Whether a document is plain JSON data of a bearable size: the first thing asked of hostile input.

The walk keeps its own stack, so depth costs no recursion, and it stops at the first bound it meets.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from nadg.domain.checks.places import Path, place_of, shown
from nadg.domain.problems import Problem

MAX_DEPTH = 64
MAX_NODES = 4_000_000
MAX_DOCUMENT_BYTES = 64 << 20
MAX_KEY_CHARACTERS = 1_000
MAX_LEAF_PROBLEMS = 100
_SMALLEST, _LARGEST = -(1 << 63), (1 << 64) - 1


class Unbearable(Exception):
    """The document breaks a bound; nothing more can be said of it than `problem`."""

    def __init__(self, path: Path, message: str) -> None:
        self.problem = Problem(place=place_of(path), message=message)
        super().__init__(message)


def leaf_problems(document: object) -> list[Problem]:
    """Values that JSON cannot carry. Raises Unbearable where the document is too deep or too large."""
    problems: list[Problem] = []
    nodes, characters = 0, 0
    stack: list[Iterator[tuple[Path, object]]] = [iter([((), document)])]
    while stack:
        for path, value in stack[-1]:
            nodes += 1
            if isinstance(value, (dict, list)):
                if len(stack) > MAX_DEPTH:
                    raise Unbearable(path[:4], f"is nested deeper than {MAX_DEPTH} levels; flatten it")
                stack.append(_children(path, value))
                break
            characters += len(value) if isinstance(value, str) else 4
            if nodes > MAX_NODES:
                raise Unbearable((), f"holds more than {MAX_NODES:,} values; put the data into an input file")
            if characters > MAX_DOCUMENT_BYTES:
                size = MAX_DOCUMENT_BYTES >> 20
                raise Unbearable((), f"is larger than {size} MiB; put the data into an input file")
            wrong = _wrong(value)
            if wrong and len(problems) < MAX_LEAF_PROBLEMS:
                problems.append(Problem(place=place_of(path), message=wrong))
        else:
            stack.pop()
    return problems


def _children(path: Path, value: dict[object, object] | list[object]) -> Iterator[tuple[Path, object]]:
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield (*path, index), item
        return
    for key, item in value.items():
        if not isinstance(key, str):
            raise Unbearable(path, f"has the key {shown(key)}, which is no text; put it in quotes")
        if len(key) > MAX_KEY_CHARACTERS:
            raise Unbearable(
                path, f"has a key of {len(key):,} characters; at most {MAX_KEY_CHARACTERS:,} are read"
            )
        unfit = _unfit_text(key)
        if unfit:
            raise Unbearable(path, f"has the key {shown(key)}, which {unfit}")
        yield (*path, key), item


def _wrong(value: object) -> str:
    """What is wrong with a leaf; empty where nothing is."""
    match value:
        case str():
            return _unfit_text(value)
        case bool() | None:
            return ""
        case int():
            fits = _SMALLEST <= value <= _LARGEST
            return "" if fits else "is a whole number beyond 64 bits; write it as text in quotes"
        case float():
            return "" if math.isfinite(value) else f"is {value}, which JSON cannot carry; use null or text"
    return f"is a {type(value).__name__}, which JSON cannot carry; write it as text in quotes"


def _unfit_text(text: str) -> str:
    if "\0" in text:
        return "holds a NUL character (code 0); take it out"
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            return f"holds half a surrogate pair at character {error.start}; take it out"
    return ""
