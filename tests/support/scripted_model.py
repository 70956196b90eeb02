"""A model for the imitation: tells what a request is for, reads the data that it holds, and answers by purpose."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, Literal

from tests.support.gemini import Answer, Request, Say

Purpose = Literal["plan", "prompt", "repair", "answer", "shorten"]
Part = Answer | Callable[[Request], Answer]
_BEGINNINGS: tuple[tuple[str, Purpose], ...] = (
    ("You plan for a grid", "plan"),
    ("You carry out one step", "prompt"),
    ("You mend Python code", "repair"),
    ("You write the answer", "answer"),
    ("You shorten a part", "shorten"),
)
_BLOCK = re.compile(r'<<data ("(?:[^"\\]|\\.)*") ([0-9a-f]{16})\n(.*?)\n\2 data>>', re.S)
_RESULT = re.compile(r"result of \[([a-z][a-z0-9_-]*)\]")


def purpose_of(request: Request) -> Purpose:
    """What a request of ours is for, by its instructions."""
    return next(purpose for beginning, purpose in _BEGINNINGS if request.system.startswith(beginning))


def data_in(request: Request) -> dict[str, str]:
    """The blocks of data in a request, by name."""
    return {json.loads(name): _without_bars(text) for name, _, text in _BLOCK.findall(request.text)}


def _without_bars(text: str) -> str:
    return "\n".join(line.removeprefix("| ") for line in text.split("\n"))


def item_of(request: Request) -> Any:
    """The item or row that a prompt is asked about: JSON where it is, else text."""
    data = data_in(request)
    text = data["row"] if "row" in data else data["item"]
    try:
        return json.loads(text)
    except ValueError:
        return text


def results_in(request: Request) -> dict[str, Any]:
    """The results that a request for the answer holds, by subtask: JSON where they are, else text."""
    return {found[1]: _value(text) for name, text in data_in(request).items() if (found := _RESULT.match(name))}


def _value(text: str) -> Any:
    """The list of file names that may follow a result is left out."""
    try:
        return json.JSONDecoder().raw_decode(text)[0]
    except ValueError:
        return text


def cite_all(request: Request) -> Answer:
    """An answer that shows the beginning of each result and cites it."""
    shown = {one: json.dumps(value, ensure_ascii=False)[:200] for one, value in results_in(request).items()}
    return Say("\n\n".join(f"Found: {text} [{one}]" for one, text in shown.items()))


def as_json(value: object) -> Say:
    """A reply that is one JSON document."""
    return Say(json.dumps(value, ensure_ascii=False))


class ScriptedModel:
    """A Script: one part for each purpose, which a test sets before each run.

    A sequence of parts is answered one after the other, the last one ever after.
    """

    def __init__(self, **parts: Part | Sequence[Part]) -> None:
        self.play(**parts)

    def play(self, **parts: Part | Sequence[Part]) -> None:
        """From now on answer so; purposes that are not named are not expected."""
        given: dict[str, Part | Sequence[Part]] = {"answer": cite_all, **parts}
        self._parts = {name: list(part) if isinstance(part, Sequence) else [part] for name, part in given.items()}

    def __call__(self, request: Request) -> Answer:
        parts = self._parts[purpose_of(request)]
        part = parts.pop(0) if len(parts) > 1 else parts[0]
        return part(request) if callable(part) else part
