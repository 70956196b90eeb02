"""A plan as a tree: every subtask once, below the need that it waits longest for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.text import Text
from rich.tree import Tree

from nadg.cli.render.safe import one_line, printable
from nadg.cli.render.units import counted
from nadg.domain.plan import Foreach, Plan, PromptWork, PythonWork, SkillWork, Subtask

TITLE_WIDTH = 60
SHOWN_INPUTS = 8
DEEPEST = 6
"""Levels that are indented; what is deeper stands below one another, for a terminal is only so wide."""


def plan_tree(plan: Plan, *, command: str, planner: str) -> Tree:
    """The tree of a valid plan; the root is what was asked for."""
    asked = one_line(command or plan.goal or "plan", 100)
    root = Tree(Text.assemble((asked, "bold"), (f"  {_made_by(plan, planner)}", "dim")), guide_style="dim")
    branches: dict[str, Tree] = {}
    above: dict[str, str | None] = {}
    levels: dict[str | None, int] = {None: 0}
    depth = depths(plan)
    for subtask in sorted(plan.subtasks, key=lambda one: depth[one.id]):
        need = parent_of(subtask, depth)
        parent = above[need] if need and levels[need] >= DEEPEST else need
        above[subtask.id], levels[subtask.id] = parent, levels[parent] + 1
        branches[subtask.id] = (branches[parent] if parent else root).add(_label(plan, subtask, parent))
    return root


def parent_of(subtask: Subtask, depth: Mapping[str, int]) -> str | None:
    """Below which need a subtask is drawn: the one deepest in the graph, the first of equals."""
    return max(subtask.needs, key=lambda need: depth[need], default=None)


def depths(plan: Plan) -> dict[str, int]:
    """Subtask id to the length of the longest chain of needs above it. The plan has no cycles."""
    known: dict[str, int] = {}
    waiting = list(plan.subtasks)
    while waiting:
        ready = [one for one in waiting if all(need in known for need in one.needs)]
        if not ready:
            raise ValueError("the plan has a cycle")
        known |= {one.id: 1 + max((known[need] for need in one.needs), default=-1) for one in ready}
        waiting = [one for one in waiting if one.id not in known]
    return known


def work_words(subtask: Subtask) -> str:
    """What a subtask does, in a few words: `skill text.sentiment`, `python, 4 lines`, `prompt`."""
    match subtask.work:
        case SkillWork(skill=name):
            return f"skill {printable(name, keep_lines=False)}"
        case PythonWork(code=code):
            return f"python, {counted(len(code.splitlines()), 'line')}"
        case PromptWork():
            return "prompt"


def foreach_words(foreach: Foreach) -> str:
    """What a subtask is repeated over: `each of 64 items`, `rows of reviews.csv`."""
    if foreach.items is not None:
        return f"each of {counted(len(foreach.items), 'item')}"
    if foreach.rows_of is not None:
        return f"rows of {one_line(foreach.rows_of, 40)}"
    if foreach.files is not None:
        return f"each file of {one_line(foreach.files, 40)}"
    return f"each result of {one_line(foreach.results_of or '', 40)}"


def _label(plan: Plan, subtask: Subtask, parent: str | None) -> Text:
    facts = [work_words(subtask)]
    if subtask.foreach is not None:
        facts.append(foreach_words(subtask.foreach))
    if subtask.inputs:
        facts.append(f"reads {_names(subtask.inputs)}")
    others = [need for need in subtask.needs if need != parent]
    if others:
        also = "also " if parent in subtask.needs else ""
        facts.append(f"{also}needs {', '.join(others)}")
    if subtask.on_failure == "continue":
        facts.append("may fail")
    if plan.answer_id == subtask.id:
        facts.append("the answer")
    title = f"  {one_line(subtask.title, TITLE_WIDTH)}" if subtask.title else ""
    return Text.assemble((subtask.id, "cyan"), title, (f"  {' · '.join(facts)}", "dim"))


def _names(names: Sequence[str]) -> str:
    """The first of them in full, for what a prompt reads is sent."""
    more = len(names) - SHOWN_INPUTS
    shown = [one_line(one, 60) for one in names[:SHOWN_INPUTS]]
    return ", ".join(shown) + (f" and {counted(more, 'more file')}" if more > 0 else "")


def _made_by(plan: Plan, planner: str) -> str:
    by = f" by {one_line(planner, 40)}" if planner else ""
    return f"{counted(len(plan.subtasks), 'subtask')}, planned{by}"
