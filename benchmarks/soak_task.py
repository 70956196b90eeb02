"""What the soak sends to a worker: code, what it is given, and a judge of how it ended."""

from __future__ import annotations

import dataclasses
import json
import random
from collections.abc import Callable
from typing import Any

from nadg.domain.assignment import Assignment, Code, Piece, Whole
from nadg.domain.blob import FileRef, Value
from nadg.domain.limits import Limits
from nadg.domain.outcome import Outcome, OutcomeKind
from nadg.link.blobfolder import BlobFolder

PATIENT = Limits(wall_seconds=120, cpu_seconds=60)
"""For good code: a busy machine alone must not end it."""
WHOLE = Whole()
Judge = Callable[[Outcome, BlobFolder], str]
"""What is wrong with an outcome, in one sentence; empty where it is as it has to be."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class SoakTask:
    """One attempt of the soak."""

    kind: str
    code: str
    judge: Judge
    is_attack: bool = False
    piece: Piece = WHOLE
    inputs: tuple[FileRef, ...] = ()
    needs: dict[str, Value] = dataclasses.field(default_factory=dict)
    limits: Limits = PATIENT
    cancel_when_it_speaks: bool = False

    def assignment(self, attempt_id: str) -> Assignment:
        return Assignment(
            attempt_id=attempt_id,
            job=Code(code=self.code),
            piece=self.piece,
            inputs=self.inputs,
            needs=self.needs,
            limits=self.limits,
        )


Maker = Callable[[random.Random], SoakTask]


def draw(chance: random.Random, makers: dict[Maker, float]) -> SoakTask:
    """A task of one of these kinds, each as likely as its weight says."""
    (maker,) = chance.choices(list(makers), list(makers.values()))
    return maker(chance)


def result_of(outcome: Outcome, blobs: BlobFolder) -> Any:
    """The decoded result; None where there is none."""
    if outcome.result is None:
        return None
    if outcome.result.blob is not None:
        return json.loads(blobs.read(outcome.result.blob.sha256))
    return json.loads(outcome.result.inline or b"null")


def gives(expected: Any, files: dict[str, bytes] | None = None) -> Judge:
    """It has to succeed with this result and with exactly these files."""

    def judge(outcome: Outcome, blobs: BlobFolder) -> str:
        if outcome.kind != "succeeded":
            return f"{outcome.kind}: {outcome.reason}"
        found = result_of(outcome, blobs)
        if found != expected:
            return f"the result is {str(found)[:100]}, not {str(expected)[:100]}"
        made = {file.name: blobs.read(file.blob.sha256) for file in outcome.artifacts}
        return "" if made == (files or {}) else f"the files are {sorted(made)}, or hold something else"

    return judge


def ends(*kinds: OutcomeKind, saying: str = "") -> Judge:
    """It has to end in one of these ways, with these words in the reason."""

    def judge(outcome: Outcome, _: BlobFolder) -> str:
        if outcome.kind in kinds and saying in outcome.reason:
            return ""
        return f"it ended as {outcome.kind} ({outcome.reason}), not as {' or '.join(kinds)} {saying}".strip()

    return judge
