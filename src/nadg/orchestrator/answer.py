"""The answer of a run as Markdown: a model's, the answer subtask's own text, or its result shown plainly."""

from __future__ import annotations

import json
import re
from urllib.parse import quote

import msgspec

from nadg.domain.blob import Blobs
from nadg.domain.file_names import shown_name
from nadg.domain.run import RunRecord, SubtaskRecord
from nadg.domain.safe_text import printable
from nadg.domain.states import RunState, SubtaskState, is_final
from nadg.orchestrator.plain_markdown import plain_markdown
from nadg.orchestrator.unpack import artifact_paths
from nadg.orchestrator.values import read_value

SHOWN_CHARACTERS = 20_000
"""A plain result longer than this is cut in the answer; `run.json` has it whole."""
SHOWN_PICTURES = 100
_NOT_PLAIN = re.compile(r"[\\`*_\[\]<>]")
"""What would end a caption or mark something within it."""


def compose_answer(run: RunRecord, blobs: Blobs) -> str:
    """What the user reads. A run that did not succeed says so first, and shows what there is.

    Whatever a result holds, nothing in the text acts on the terminal that shows it, and showing it loads nothing.
    """
    answer = next((one for one in run.subtasks if one.id == run.plan.answer_id), None)
    parts = [] if run.state is RunState.SUCCEEDED else [_state_line(run)]
    if run.answer.strip():
        parts.append(run.answer.strip())
    elif run.planning:
        parts.append(_unfinished(run))
    elif answer is not None and answer.result is not None:
        parts.append(_result_text(run, answer, blobs))
    failures = _failure_lines(run)
    if len(failures) > 1 or (failures and not (len(parts) == 1 and _told(run))):
        parts.append("## What did not succeed\n\n" + "\n".join(failures))
    if not parts:
        parts.append("The run gave no answer.")
    return plain_markdown(printable("\n\n".join(parts))).rstrip() + "\n"


def _state_line(run: RunRecord) -> str:
    reason = f": {run.reason}" if run.reason else ""
    verb = "was " if run.state is RunState.CANCELLED else ""
    told = f"{verb}{run.state}" if is_final(run.state) else "has not ended"
    return f"**This run {told}**{reason}."


def _unfinished(run: RunRecord) -> str:
    """What there is of a run whose plan was still being written: results, but no answer."""
    done = [one for one in run.subtasks if one.state is SubtaskState.SUCCEEDED]
    listed = "\n".join(f"- {one_line(run.plan.subtask(one.id).name)}" for one in done)
    told = "Its plan was not finished, so there is no answer."
    return f"{told} What was done, with its results in run.json:\n\n{listed}" if done else told


def one_line(text: str) -> str:
    """A title within Markdown: it opens nothing and closes nothing."""
    return _NOT_PLAIN.sub(r"\\\g<0>", " ".join(text.split()))


def _result_text(run: RunRecord, answer: SubtaskRecord, blobs: Blobs) -> str:
    assert answer.result is not None
    result = msgspec.json.decode(read_value(answer.result, blobs))
    if isinstance(result, dict) and isinstance(result.get("markdown"), str):
        return str(result["markdown"])
    if isinstance(result, str):
        return result
    heading = f"# {run.plan.goal or run.command or run.plan.subtask(answer.id).name}"
    return f"{heading}\n\n{_plain(result)}{_pictures(answer)}"


def _plain(result: object) -> str:
    if result is None or isinstance(result, bool | int | float):
        return f"**{json.dumps(result)}**"
    text = json.dumps(result, indent=2, ensure_ascii=False)
    if len(text) > SHOWN_CHARACTERS:
        text = text[:SHOWN_CHARACTERS] + "\n… (cut; run.json has the whole result)"
    return f"```json\n{text}\n```"


def _pictures(answer: SubtaskRecord) -> str:
    pictures = [
        (_NOT_PLAIN.sub(r"\\\g<0>", shown_name(name)), quote(path))
        for name, path in artifact_paths(answer).items()
        if name.lower().endswith((".png", ".jpg", ".svg"))
    ]
    more = len(pictures) - SHOWN_PICTURES
    told = f"\n\n*… and {more:,} more pictures; run.json lists them.*" if more > 0 else ""
    return "".join(f"\n\n![{caption}]({link})" for caption, link in pictures[:SHOWN_PICTURES]) + told


def _told(run: RunRecord) -> bool:
    """Whether the run's own reason says already why its only failed subtask failed."""
    return any(one.reason and one.reason in run.reason for one in run.subtasks if one.state is SubtaskState.FAILED)


def _failure_lines(run: RunRecord) -> list[str]:
    unmet = (SubtaskState.FAILED, SubtaskState.SKIPPED)
    return [
        f"- **{one_line(run.plan.subtask(one.id).name)}** {one.state}: {one.reason}"
        for one in run.subtasks
        if one.state in unmet
    ]
