"""Whether what a prompt reads is surely more than one question may hold, told before anything runs.

Only what is known beforehand counts: the prompt and the inputs of the run. Results and rows come on top.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from nadg.domain.inputs import InputFile
from nadg.domain.plan import MAX_PROMPT_CHARACTERS, PromptWork, Subtask

FlawOfLength = Callable[[Subtask], str]
"""Why a subtask's prompt can never be sent, and what to do about it; empty where it may be."""
ReadHead = Callable[[InputFile, int], bytes]
"""Gives the first bytes of an input, at most as many as asked for. May raise OSError."""

MOST_BYTES = 4
"""Of a character in UTF-8."""


def flaw_of_length(inputs: Sequence[InputFile], read_head: ReadHead | None = None) -> FlawOfLength:
    """Counts characters where `read_head` gives them; else a file counts as the fewest that its size allows."""
    files = {one.name: one for one in inputs}
    return lambda subtask: _flaw(subtask, files, read_head)


def _flaw(subtask: Subtask, files: Mapping[str, InputFile], read_head: ReadHead | None) -> str:
    if not isinstance(subtask.work, PromptWork):
        return ""
    read = [files[name] for name in subtask.inputs if name in files and files[name].kind in ("table", "text")]
    room = MAX_PROMPT_CHARACTERS - len(subtask.work.prompt)
    if sum(one.blob.size for one in read) <= room:  # characters are never more than bytes
        return ""
    characters = sum(_fewest_characters(one, read_head) for one in read)
    if characters <= room:
        return ""
    what = "the file that it reads has" if len(read) == 1 else "the files that it reads have"
    return (
        f"{what} {characters:,} characters or more, and a prompt is sent with {MAX_PROMPT_CHARACTERS:,} at most; "
        "repeat it over the rows (foreach), or have python or a skill make the data shorter first"
    )


def _fewest_characters(file: InputFile, read_head: ReadHead | None) -> int:
    """Exact for a text that can be read and might fit, else the fewest that its size allows."""
    fewest = -(-file.blob.size // MOST_BYTES)
    if read_head is None or fewest > MAX_PROMPT_CHARACTERS:
        return fewest
    try:
        return len(read_head(file, file.blob.size).decode("utf-8"))
    except (OSError, UnicodeDecodeError):  # told where it is read
        return fewest
