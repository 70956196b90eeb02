"""A report for people, made of what other subtasks found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

from nadg.domain.safe_text import printable
from nadg.domain.unpacked_paths import safe_part
from nadg.skills.api import Needs, skill
from nadg.skills.report import markdown
from nadg.skills.report.cross import cross_section
from nadg.skills.report.sections import Section, rendered, section_of
from nadg.skills.wording import counted, listed, shortened

FILE = "report.md"
_TITLE_LENGTH = 70


@skill(
    "report.compose",
    synonyms=(
        "report",
        "summary report",
        "write a report",
        "final report",
        "document the results",
        "write up",
        "write-up",
        "present the findings",
        "present the results",
        "findings",
        "summarize the results",
        "summarise the findings",
        "conclusions",
    ),
    examples=(
        "generate a summary report",
        "write a report",
        "create a report with tables and pictures",
        "summarize the findings",
        "put the results together in a document",
        "present the results",
    ),
    produces=("report.md",),
    tolerates_missing=True,
)
def compose(
    needs: Needs,
    title: Annotated[str, "The heading; left out, it is made of the goal."] = "",
    goal: Annotated[str, "What was asked for, in the user's own words."] = "",
    subtask: Annotated[
        str, "The id of the subtask that composes: links to its own pictures start with it."
    ] = "report",
) -> dict[str, object]:
    """Write a report: the main findings, then a section with tables and pictures per subtask.

    The result's `markdown` is the whole text; its picture links are `artifacts/SUBTASK/FILE`. The same text, with
    links that fit where it stands, is written as `report.md`.
    """
    sections = [
        section_of(one, result, needs.folders.get(one))
        for one, result in needs.results.items()
        if one not in needs.missing
    ]
    cross = cross_section(needs, subtask)
    heading = title or _heading(goal, sections)
    from_answer = {one: f"artifacts/{safe_part(one)}/" for one in [*needs.results, subtask]}
    from_here = {one: f"../{safe_part(one)}/" for one in needs.results} | {subtask: ""}
    text = _text(heading, goal, sections, cross, needs.missing, from_answer)
    Path(FILE).write_text(_text(heading, goal, sections, cross, needs.missing, from_here), encoding="utf-8")
    return {
        "kind": "report.compose",
        "title": heading,
        "headline": f"A report on {counted(len(sections), 'subtask')}.",
        "markdown": text,
        "sections": [one.title for one in [*sections, *([cross] if cross else [])]],
        "pictures": [{"file": file, "caption": caption} for file, caption in (cross.pictures if cross else ())],
        "missing": dict(needs.missing),
    }


def _text(
    heading: str,
    goal: str,
    sections: Sequence[Section],
    cross: Section | None,
    missing: Mapping[str, str],
    prefixes: Mapping[str, str],
) -> str:
    told = [*sections, *([cross] if cross else [])]
    blocks = [f"# {markdown.escaped(heading)}"]
    if goal and goal != heading:
        blocks.append(f"> {markdown.escaped(goal)}")
    blocks += _overview(told, missing)
    blocks += [rendered(one, prefixes[one.subtask]) for one in told]
    blocks += _missing_section(missing)
    blocks.append(f"---\n\n*{_how_it_was_made(sections, missing)}*")
    return printable("\n\n".join(blocks)) + "\n"


def _overview(sections: Sequence[Section], missing: Mapping[str, str]) -> list[str]:
    """The main sentence of each section, and what is not there."""
    findings = [
        f"- **{markdown.escaped(one.title)}.** {markdown.escaped(one.headline)}"
        for one in sections
        if one.headline
    ]
    if missing:
        names = listed([f"`{name}`" for name in missing])
        findings.append(f"- **Not in this report:** {names}, which failed; see below.")
    return ["## Main findings", "\n".join(findings)] if findings else []


def _missing_section(missing: Mapping[str, str]) -> list[str]:
    if not missing:
        return []
    rows = [[name, reason] for name, reason in missing.items()]
    return [
        "## What is missing",
        "These subtasks failed, so the report goes without them.",
        markdown.table(["Subtask", "Reason"], rows),
    ]


def _how_it_was_made(sections: Sequence[Section], missing: Mapping[str, str]) -> str:
    names = listed([f"`{one.subtask}`" for one in sections], most=20)
    count = counted(len(sections), "subtask")
    made = f"How it was made: NADG composed this report from the results of {count} ({names})"
    return f"{made}, without {counted(len(missing), 'subtask')} that failed." if missing else f"{made}."


def _heading(goal: str, sections: Sequence[Section]) -> str:
    """A short goal as it is, else what the sections are about."""
    flat = " ".join(goal.split()).rstrip(".")
    if flat and len(flat) <= _TITLE_LENGTH:
        return flat[0].upper() + flat[1:]
    titles = [one.title for one in sections]
    return f"Report: {shortened(listed(titles), _TITLE_LENGTH)}" if titles else "Report"
