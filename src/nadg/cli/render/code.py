"""The code and the prompts of a plan in full, for whoever judges it: nothing in them acts on the terminal."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.text import Text

from nadg.cli.render.safe import one_line, printable
from nadg.cli.render.units import counted
from nadg.domain.plan import Plan, PromptWork, PythonWork, Subtask

if TYPE_CHECKING:
    from rich.console import RenderableType

TAB = "    "


def work_blocks(plan: Plan, *, terminal: bool) -> list[RenderableType]:
    """A heading and the text of each python and prompt subtask, in plan order; none is cut."""
    blocks: list[RenderableType] = []
    for subtask in plan.subtasks:
        match subtask.work:
            case PythonWork(code=code):
                words = counted(len(code.splitlines()), "line")
                blocks += [_heading(subtask, f"python, {words}"), _code(code, terminal)]
            case PromptWork() as work:
                blocks += [_heading(subtask, _prompt_words(work)), _prompt(work, subtask.inputs)]
    return blocks


def _heading(subtask: Subtask, words: str) -> Text:
    return Text.assemble("\n", (subtask.id, "bold cyan"), (f"  {words}", "dim"))


def _prompt_words(work: PromptWork) -> str:
    model = f" for {one_line(work.model, 80)}" if work.model else ""
    return f"prompt{model}, at most {work.max_output_tokens:,} tokens an answer"


def _code(code: str, terminal: bool) -> RenderableType:
    safe = printable(code).rstrip("\n").expandtabs(len(TAB))
    if not terminal:
        return _indented(safe)
    from rich.syntax import Syntax

    return Syntax(safe, "python", theme="ansi_dark", background_color="default", line_numbers=True, word_wrap=True)


def _prompt(work: PromptWork, inputs: Sequence[str]) -> Text:
    """What is sent: the text, the schema, and the names of all files that go along with it."""
    schema = f"\nanswer: {json.dumps(work.output_schema, ensure_ascii=False)}" if work.output_schema else ""
    reads = "".join(f"\nreads: {printable(name, keep_lines=False)}" for name in inputs)
    return _indented(printable(work.prompt).rstrip("\n") + printable(schema) + reads)


def _indented(text: str) -> Text:
    return Text("\n".join(TAB + line for line in text.split("\n")))
