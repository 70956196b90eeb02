"""Under which key the outcome of a shard may serve for equal work: a hash of everything that goes in.

What only says where, when or for whom it runs stays out: attempt, term, title, labels, limits, workers to avoid.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping

from nadg.domain.assignment import Assignment, Code, Files, Items, Job, Merge, Piece, Rows, SkillCall
from nadg.domain.blob import FileRef
from nadg.domain.outcome import Receipt
from nadg.domain.plan import PromptWork, SkillWork, Subtask
from nadg.domain.skill import SkillSpec
from nadg.domain.states import AttemptState
from nadg.domain.tier import Tier

KEY_FORMAT = 1
"""Raise it when equal work would be put into other words here, or carried out in another way by workers."""


def is_reusable(subtask: Subtask, skills: Mapping[str, SkillSpec]) -> bool:
    """Whether outcomes of this subtask may serve again. Answers of models are kept by their own cache."""
    match subtask.work:
        case PromptWork():
            return False
        case SkillWork(skill=name):
            return subtask.cache and name in skills and skills[name].cacheable
        case _:
            return subtask.cache


def work_sha256(assignment: Assignment, skill_version: str | None) -> str:
    """Everything but the piece: what the shards of one subtask have in common, so that it is hashed once."""
    return _sha256(
        [
            KEY_FORMAT,
            _job(assignment.job, skill_version),
            _files(assignment.inputs),
            {name: value.sha256 for name, value in assignment.needs.items()},
            {name: _files(files) for name, files in assignment.needs_files.items()},
            assignment.missing,
        ]
    )


def cache_key(work: str, piece: Piece) -> str:
    """The key of one shard; `work` is the `work_sha256` of its subtask. The same on every machine and Python."""
    return _sha256([work, _piece(piece)])


def key_to_store(key: str, state: AttemptState, receipt: Receipt) -> str:
    """The key if this outcome may serve for equal work, else an empty text.

    Where nothing kept the code from the network and from foreign files, what it read is in no key. An outcome
    that was taken from elsewhere is kept there already.
    """
    isolated = receipt.sandbox_tier not in (None, Tier.NONE)
    fit = state is AttemptState.SUCCEEDED and isolated and receipt.environment and not receipt.reused_from
    return key if fit else ""


def _job(job: Job, skill_version: str | None) -> list[object]:
    match job:
        case Code(code=code):
            return ["python", code]
        case SkillCall(skill=name, args=args):
            return ["skill", name, skill_version, args]


def _piece(piece: Piece) -> list[object]:
    match piece:
        case Items(first=first, count=count, values=values):
            return ["items", first, count, values.sha256]
        case Files(first=first, files=files):
            return ["files", first, _files(files)]
        case Rows(file=file) as rows:
            bounds = [rows.first, rows.count, rows.start, rows.stop, rows.header_stop]
            return ["rows", *bounds, *_files([file])]
        case Merge(parts=parts):
            return ["merge", [[part.result.sha256, _files(part.files)] for part in parts]]
        case _:
            return ["whole"]


def _files(files: Iterable[FileRef]) -> list[list[str]]:
    return [[file.name, file.blob.sha256] for file in files]


def _sha256(document: list[object]) -> str:
    """Of canonical JSON: keys sorted, ASCII only, so that halves of characters are told apart, too."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()
