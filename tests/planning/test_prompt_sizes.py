"""A prompt that is surely too long is refused before anything runs, and one that may fit is not."""

from __future__ import annotations

import pytest

from nadg.domain.blob import BlobRef
from nadg.domain.inputs import InputFile
from nadg.domain.plan import MAX_PROMPT_CHARACTERS, PromptWork, PythonWork, Subtask
from nadg.planning.prompt_sizes import flaw_of_length

PROMPT = PromptWork(kind="prompt", prompt="x" * 100)
FITS = MAX_PROMPT_CHARACTERS - len(PROMPT.prompt)


def file(name: str, content: bytes) -> InputFile:
    return InputFile(name=name, blob=BlobRef(sha256="0" * 64, size=len(content)), kind="text")


def flaw(*contents: bytes, read: bool = True, work: PromptWork | PythonWork = PROMPT) -> str:
    files = {f"{at}.txt": content for at, content in enumerate(contents)}
    inputs = [file(name, content) for name, content in files.items()]
    subtask = Subtask(id="a", work=work, inputs=tuple(files))
    return flaw_of_length(inputs, (lambda one, most: files[one.name][:most]) if read else None)(subtask)


@pytest.mark.parametrize("letter", ["a", "ä", "字", "🙂"])
def test_characters_count_and_not_bytes(letter: str) -> None:
    assert flaw((letter * FITS).encode()) == ""
    assert "the file that it reads has 399,901 characters or more" in flaw((letter * (FITS + 1)).encode())


def test_files_count_together() -> None:
    half = b"a" * (FITS // 2)
    assert flaw(half, half) == ""
    assert "the files that it reads have 399,903 characters or more" in flaw(half, half, b"aaa")


def test_a_file_that_nobody_reads_here_counts_as_the_least_that_it_can_have() -> None:
    assert flaw(b"a" * (4 * FITS), read=False) == ""
    assert flaw(b"a" * (4 * FITS + 1), read=False) != ""


def test_what_is_no_text_is_told_where_it_is_read() -> None:
    assert flaw(b"\xff" * (FITS + 1)) == ""


def test_only_prompts_have_a_length() -> None:
    assert flaw(b"a" * (9 * FITS), work=PythonWork(kind="python", code="result = 1")) == ""
