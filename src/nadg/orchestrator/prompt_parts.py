"""What a prompt subtask puts before a model: its prompt, and as data what it needs, reads and is repeated over."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import msgspec

from nadg.domain.assignment import Files, Items, Piece, Rows
from nadg.domain.blob import Blobs, FileRef, Value
from nadg.domain.errors import UserError
from nadg.domain.plan import MAX_PROMPT_CHARACTERS, PromptWork
from nadg.domain.rows import read_rows
from nadg.models.call import ModelCall, Turn
from nadg.models.data_block import DATA_RULES, data_block
from nadg.orchestrator.values import read_value

FAILED = "failed"
"""The key of an item's result that says why there is none."""

_RULES = f"""\
You carry out one step of a larger plan. Do exactly what the step asks, and answer with nothing but its result: no
introduction, no remarks about yourself, no questions back. Where the data does not hold what is asked for,
say so in the answer rather than inventing it. {DATA_RULES}"""


class PromptAssignment(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt of prompt work."""

    attempt_id: str
    subtask_id: str
    work: PromptWork
    piece: Piece
    inputs: tuple[FileRef, ...] = ()
    needs: dict[str, Value] = {}
    missing: dict[str, str] = {}
    tries_left: bool = False
    """Whether the shard is tried again where this attempt is lost."""
    anew: bool = False
    """Whether models are asked, although an earlier run was given the answer."""


def item_blocks(piece: Piece, blobs: Blobs) -> Sequence[str | UserError] | None:
    """A block for each item, row or file of a piece, or why there is none; None where the work is done once."""
    match piece:
        case Items(values=values):
            items = msgspec.json.decode(read_value(values, blobs), type=list[msgspec.Raw])
            return [data_block("item", _shown(bytes(item))) for item in items]
        case Rows():
            return [data_block("row", json.dumps(row, ensure_ascii=False)) for row in _rows(piece, blobs)]
        case Files(files=files):
            return [_readable(file, blobs) for file in files]
        case _:
            return None


def shared_blocks(assignment: PromptAssignment, blobs: Blobs) -> list[str]:
    """What every item is given: the needed results, the inputs, and what is missing."""
    blocks = [
        data_block(f"result of {name}", _shown(read_value(value, blobs)))
        for name, value in assignment.needs.items()
    ]
    blocks += [file_block(file, blobs) for file in assignment.inputs]
    return blocks + [data_block(f"{name} has no result", reason) for name, reason in assignment.missing.items()]


def _readable(file: FileRef, blobs: Blobs) -> str | UserError:
    try:
        return file_block(file, blobs)
    except UserError as error:
        return error


def file_block(file: FileRef, blobs: Blobs) -> str:
    """A text file as data. Raises UserError where it is no text or too large."""
    if file.blob.size > 4 * MAX_PROMPT_CHARACTERS:
        raise UserError(
            f"{file.name} has {file.blob.size:,} bytes, and a prompt reads {MAX_PROMPT_CHARACTERS:,} "
            "characters at most; repeat the prompt over its rows, or have python or a skill make it shorter first"
        )
    try:
        text = blobs.path(file.blob.sha256).read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        raise UserError(f"{file.name} is no UTF-8 text; a prompt reads text only") from None
    return data_block(file.name, text)


def create_call(
    assignment: PromptAssignment, blocks: Sequence[str], output_schema: Mapping[str, object] | None
) -> ModelCall:
    """The question. Raises UserError where it is too long."""
    text = "\n\n".join((assignment.work.prompt, *blocks))
    if len(text) > MAX_PROMPT_CHARACTERS:
        raise UserError(
            f"the prompt of {assignment.subtask_id} has {len(text):,} characters with its data, at most "
            f"{MAX_PROMPT_CHARACTERS:,} are sent; repeat it over rows or items, or make the data shorter first"
        )
    return ModelCall(
        purpose="prompt",
        instructions=_RULES,
        turns=(Turn(role="user", text=text),),
        output_schema=None if output_schema is None else dict(output_schema),
        max_output_tokens=assignment.work.max_output_tokens,
        model=assignment.work.model,
        subtask_id=assignment.subtask_id,
        anew=assignment.anew,
    )


def _rows(piece: Rows, blobs: Blobs) -> list[dict[str, str]]:
    with blobs.path(piece.file.blob.sha256).open("rb") as file:
        header = file.read(piece.header_stop)
        file.seek(piece.start)
        body = file.read(piece.stop - piece.start)
    return read_rows(piece.file.name, header, body)


def _shown(encoded: bytes) -> str:
    """A JSON value as a model reads it best: text as text, all else as JSON."""
    value = msgspec.json.decode(encoded)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
