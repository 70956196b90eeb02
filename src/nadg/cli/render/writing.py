"""What is told of a plan while it is still written, and of code that is mended, a line each."""

from __future__ import annotations

from nadg.cli.render.safe import one_line, printable
from nadg.cli.render.units import counted
from nadg.domain.changes import Change, CodeChanged, PlannedSubtask, PlanSettled, SubtaskRedefined, SubtasksAdded


def writing_lines(change: Change, known: int) -> list[str]:
    """`+ moods: Sentiment of the reviews (skill text.sentiment)`; nothing of changes that do not touch the plan.

    `known` is how many subtasks the plan has after it.
    """
    match change:
        case SubtasksAdded(subtasks=added):
            return [f"+ {_name(one.id)}: {_words(one)}" for one in added]
        case SubtaskRedefined(subtask=one):
            return [f"~ {_name(one.id)}: planned anew: {_words(one)}"]
        case PlanSettled():
            return [f"The plan is whole: {counted(known, 'subtask')}"]
        case CodeChanged():
            reason = one_line(change.reason, 200)
            return [f"~ {_name(change.subtask_id)}: code mended ({change.number}): {reason}"]
        case _:
            return []


def _name(subtask_id: str) -> str:
    return printable(subtask_id, keep_lines=False)


def _words(one: PlannedSubtask) -> str:
    title = f"{one_line(one.title, 60)} " if one.title and one.title != one.id else ""
    return f"{title}({_work(one)})"


def _work(one: PlannedSubtask) -> str:
    work = one.document.get("work")
    if not isinstance(work, dict):
        return "unknown work"
    match work:
        case {"kind": "skill", "skill": str(skill)}:
            return f"skill {one_line(skill, 80)}"
        case {"kind": "python", "code": str(code)}:
            return f"python, {counted(len(code.splitlines()), 'line')}"
        case _:
            return one_line(str(work.get("kind", "unknown work")), 40)
