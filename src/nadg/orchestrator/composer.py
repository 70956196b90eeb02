"""The answer of a run, composed by a model from the results, each claim with what it rests on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

import msgspec

from nadg.domain.blob import Blobs
from nadg.domain.errors import ModelError
from nadg.domain.states import SubtaskState
from nadg.models.call import ModelCall, Reply, Turn
from nadg.models.data_block import DATA_RULES, data_block
from nadg.orchestrator.answer import one_line
from nadg.orchestrator.model_access import ModelAccess
from nadg.orchestrator.progress import RunProgress, SubtaskProgress
from nadg.orchestrator.references import founded_part, references_in, unfounded_claims
from nadg.orchestrator.values import read_value

MAX_CHARACTERS = 60_000
"""Of all results together in one question."""
CHUNK_CHARACTERS = 30_000
MAX_SUMMARIES = 24
"""Calls that shorten results; what is longer still is cut, and says so."""
MAX_OUTPUT_TOKENS = 8192

_COMPOSE = f"""\
You write the answer of a finished run for the person who asked for it, in the language of the request, as
Markdown. Say first what was asked for. Use only what the results hold; where they do not answer something, say
that. Every paragraph and every list item ends with the id of each subtask that it rests on, in square brackets,
such as [sentiment] or [topics][report]; a sentence that rests on no result is left out. Use short paragraphs,
lists where they help, and headings of level 2. Do not describe how the work was done. {DATA_RULES}"""
_SHORTEN = f"""\
You shorten a part of a result so that somebody can write about it without seeing it. Keep numbers, names and
findings that matter for the request; leave out what repeats. Plain text, at most 300 words. {DATA_RULES}"""


async def compose_by_model(run: RunProgress, command: str, access: ModelAccess, blobs: Blobs) -> str:
    """The answer's text, with its sources; empty where the model founded no claim on a result.

    Raises the errors of `Door.ask`.
    """
    subtasks = [one for one in run.subtasks.values() if one.spec.id not in run.dropped]
    done = [one for one in subtasks if one.state is SubtaskState.SUCCEEDED and one.result]
    share = MAX_CHARACTERS // max(1, len(done))
    shorten = _Shortener(command, access)
    blocks = []
    for one in done:
        text = await shorten(one.spec.id, await asyncio.to_thread(_result_text, one, blobs), share)
        blocks.append(data_block(f"result of [{one.spec.id}] {one.spec.name}", text))
    missing = [f"[{one.spec.id}] {one.state}: {one.reason}" for one in subtasks if one not in done and one.reason]
    if missing:
        blocks.append(data_block("what did not succeed", "\n".join(missing)))
    known = {one.spec.id for one in done}
    text = await _composed(f"The request: {command}\n\n" + "\n\n".join(blocks), known, access)
    return _with_sources(text, run) if text else ""


async def _composed(question: str, known: set[str], access: ModelAccess) -> str:
    """Ask; where claims rest on nothing, ask once more; then leave those out."""
    turns: tuple[Turn, ...] = (Turn(role="user", text=f"{question}\n\nWrite the answer."),)
    reply = await _ask(turns, access, _COMPOSE)
    text = reply.text.strip()
    unfounded = unfounded_claims(text, known)
    if unfounded:
        await access.door.reject(reply)
        listed = "\n".join(f"- {claim[:300]}" for claim in unfounded[:20])
        again = (
            "These claims of your answer rest on no result, or name an unknown id:\n"
            f"{data_block('claims', listed)}\n"
            f"Known ids are {', '.join(sorted(known))}. Write the whole answer again; give each claim its [id], "
            "or leave it out."
        )
        turns = (*turns, Turn(role="model", text=text), Turn(role="user", text=again))
        try:
            text = (await _ask(turns, access, _COMPOSE)).text.strip()
        except ModelError as error:
            access.account.notice(f"the answer could not be asked for again: {error}")
    left_out = unfounded_claims(text, known)
    if left_out:
        claims = "1 claim" if len(left_out) == 1 else f"{len(left_out)} claims"
        access.account.notice(f"{claims} of the answer rested on no result and had to be left out")
        text = founded_part(text, known)
    if references_in(text):
        return text
    access.account.notice("the model founded no claim on a result, so the answer is the last result itself")
    return ""


async def _ask(turns: tuple[Turn, ...], access: ModelAccess, instructions: str) -> Reply:
    call = ModelCall(purpose="answer", instructions=instructions, turns=turns, max_output_tokens=MAX_OUTPUT_TOKENS)
    reply = await access.door.ask(call, access.account)
    if reply.cut_off:
        access.account.notice(reply.cut_off)
    return reply


class _Shortener:
    """Makes results fit, step by step: parts are shortened, and the shortened ones again if need be."""

    def __init__(self, command: str, access: ModelAccess) -> None:
        self._command, self._access = command, access
        self._left = MAX_SUMMARIES

    async def __call__(self, subtask_id: str, text: str, most: int) -> str:
        while len(text) > most and self._left > 0:
            chunks = [text[at : at + CHUNK_CHARACTERS] for at in range(0, len(text), CHUNK_CHARACTERS)]
            shorter = "\n\n".join([await self._shortened(subtask_id, chunk) for chunk in chunks[: self._left]])
            if len(chunks) > self._left:
                shorter += f"\n\n(the rest, {len(chunks) - self._left} parts of {len(chunks)}, was not read)"
            self._left -= len(chunks)
            if len(shorter) >= len(text):
                break
            text = shorter
        return text if len(text) <= most else f"{text[:most]}\n… (cut: {len(text):,} characters)"

    async def _shortened(self, subtask_id: str, chunk: str) -> str:
        question = f"The request: {self._command}\n\n{data_block(f'part of the result of [{subtask_id}]', chunk)}"
        return (await _ask((Turn(role="user", text=question),), self._access, _SHORTEN)).text.strip()


def _result_text(subtask: SubtaskProgress, blobs: Blobs) -> str:
    """The result as text, and the names of its files."""
    assert subtask.result is not None
    value = msgspec.json.decode(read_value(subtask.result, blobs))
    if isinstance(value, dict) and isinstance(value.get("markdown"), str):
        text = str(value["markdown"])
    else:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    names = [file.name for file in subtask.artifacts[:20]]
    return f"{text}\n(files: {', '.join(names)})" if names else text


def _with_sources(text: str, run: RunProgress) -> str:
    used: Sequence[str] = [one for one in references_in(text) if one in run.subtasks]
    lines = [f"- [{one}] {one_line(run.subtasks[one].spec.name)}" for one in used]
    return f"{text}\n\n## Sources\n\n" + "\n".join(lines)
