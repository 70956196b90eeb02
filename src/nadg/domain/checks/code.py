"""Python work: whether its source compiles. Nothing is run."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence

from nadg.domain.checks.draft import Draft
from nadg.domain.checks.places import shown
from nadg.domain.plan import MAX_CODE_BYTES, PythonWork
from nadg.domain.problems import Problem

MAX_TOTAL_CODE_BYTES = 4 << 20
"""All different sources of a plan together, so that checking a hostile plan takes seconds at most."""


def code_problems(drafts: Sequence[Draft]) -> Iterator[Problem]:
    """Sources that are too large or do not compile."""
    checked: dict[str, str] = {}
    total = 0
    for draft in drafts:
        if not isinstance(draft.work, PythonWork):
            continue
        code = draft.work.code
        if code not in checked:
            total += len(code.encode("utf-8", "replace"))
            if total > MAX_TOTAL_CODE_BYTES:
                size = MAX_TOTAL_CODE_BYTES >> 20
                yield draft.problem(
                    ("work", "code"), f"the code of the plan is larger than {size} MiB; move data into input files"
                )
                return
            checked[code] = wrong_with(code)
        if checked[code]:
            yield draft.problem(("work", "code"), checked[code])


def wrong_with(code: str) -> str:
    """Why this source cannot run, with its line; empty where it compiles."""
    size = len(code.encode("utf-8", "replace"))
    if size > MAX_CODE_BYTES:
        return f"is {size:,} bytes of code; at most {MAX_CODE_BYTES:,} are allowed"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(code, "<code>", "exec", dont_inherit=True)
    except SyntaxError as error:
        line = (error.text or "").strip()
        cited = f" in {shown(line)}" if line else ""
        return f"line {error.lineno or 1} is not valid Python ({error.msg}){cited}; mend the line"
    except (RecursionError, MemoryError):
        return "is nested too deeply for Python to compile; write it with fewer levels"
    except (ValueError, OverflowError) as error:
        return f"is not valid Python ({error}); mend it"
    return ""
