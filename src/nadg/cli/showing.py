"""A plan as it is shown before it runs: its tree, its code and prompts, and what it is likely to cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nadg.cli.render.code import work_blocks
from nadg.cli.render.estimate import ShownEstimate, estimate_lines
from nadg.cli.render.plan import plan_tree

if TYPE_CHECKING:
    from rich.console import Console

    from nadg.bootstrap.planning import PlannedRun


def show_plan(console: Console, planned: PlannedRun, estimate: ShownEstimate | None) -> None:
    """Nothing is cut: whoever approves of a plan has seen all of its code."""
    console.print(plan_tree(planned.plan, command=planned.command, planner=planned.planner))
    for block in work_blocks(planned.plan, terminal=console.is_terminal):
        console.print(block, soft_wrap=not console.is_terminal)
    lines = estimate_lines(estimate)
    if lines:
        console.print("\n" + "\n".join(lines), soft_wrap=True)
