"""Lists as tables: runs, linked workers, skills, and one skill in full."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from nadg.cli.render.safe import one_line, printable
from nadg.cli.render.units import moment
from nadg.domain.run import RunSummary
from nadg.domain.skill import Parameter, SkillSpec
from nadg.domain.worker import WorkerInfo

FOLDED_WIDTH = 30
"""Columns that the text which may be folded gets at least."""


def plain_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, folded: str) -> Table:
    """A table without lines; only the column `folded` gives way where there is little room."""
    lines = [tuple(row) for row in rows]
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for place, name in enumerate(columns):
        width = max(cell_len(cell) for cell in (name, *(line[place] for line in lines)))
        if name == folded:
            table.add_column(name, overflow="fold", min_width=min(width, FOLDED_WIDTH))
        else:
            table.add_column(name, no_wrap=True, min_width=width)
    for line in lines:
        table.add_row(*(Text(cell) for cell in line))
    return table


def runs_table(runs: Iterable[RunSummary]) -> Table:
    """The list of runs, as given."""
    listed = list(runs)
    derived = any(one.parent for one in listed)
    rows = [
        (
            one.id,
            f"{one.state} (master gone)" if one.orphaned else str(one.state),
            f"{one.subtasks_done}/{'?' if one.planning else one.subtasks_total}",
            moment(one.created_at),
            *((derived_words(one.parent, one.forked_from) or "–",) if derived else ()),
            one_line(one.command, 100),
        )
        for one in listed
    ]
    columns = ("RUN", "STATE", "DONE", "CREATED (UTC)", *(("PARENT",) if derived else ()), "COMMAND")
    return plain_table(columns, rows, folded="COMMAND")


def derived_words(parent: str, forked_from: str) -> str:
    """How a run came from another one; empty where it came from none."""
    if not parent:
        return ""
    return f"{'forks' if forked_from else 'resumes'} {one_line(parent, 40)}"


class LinkedWorker(Protocol):
    """A worker as the grid of this process sees it now."""

    @property
    def url(self) -> str: ...

    @property
    def state(self) -> str: ...

    @property
    def reason(self) -> str: ...

    @property
    def info(self) -> WorkerInfo | None: ...


def grid_table(workers: Iterable[LinkedWorker]) -> Table:
    """The workers of a grid that is up."""
    rows = []
    for one in workers:
        info = one.info
        name, slots, tier = (one_line(info.name, 40), str(info.slots), str(info.tier)) if info else ("–", "–", "–")
        rows.append((name, _with_reason(one.state, one.reason), slots, tier, one_line(one.url, 200)))
    return plain_table(("WORKER", "STATE", "SLOTS", "SANDBOX", "URL"), rows, folded="URL")


def _with_reason(state: str, reason: str) -> str:
    return f"{state} ({one_line(reason, 60)})" if reason else state


def worker_lines(info: WorkerInfo) -> list[str]:
    """What a worker said of itself, a fact a line."""
    facts = {
        "name": info.name,
        "slots": str(info.slots),
        "sandbox": str(info.tier),
        "labels": ", ".join(info.labels) or "none",
        "skills": str(len(info.skills)),
        "NADG": info.nadg_version,
        "Python": info.python_version,
    }
    return [f"{name + ':':10}{one_line(value, 200)}" for name, value in facts.items()]


def skills_table(specs: Mapping[str, SkillSpec]) -> Table:
    """All skills by name, with their one-line summaries."""
    rows = [
        (name, str(one.takes), one.maps_over or "whole", one_line(one.summary, 300))
        for name, one in sorted(specs.items())
    ]
    return plain_table(("SKILL", "TAKES", "RUNS OVER", "SUMMARY"), rows, folded="SUMMARY")


def skill_lines(spec: SkillSpec) -> list[str]:
    """One skill in full: what it does, takes and gives, and every argument."""
    lines = [f"{spec.name} (version {spec.version}): {spec.summary}"]
    if spec.description.strip() and spec.description.strip() != spec.summary.strip():
        lines += ["", *spec.description.strip().splitlines()]
    lines += ["", f"takes: {spec.takes}", f"runs over: {spec.maps_over or 'its whole input at once'}"]
    if spec.produces:
        lines.append(f"writes: {', '.join(spec.produces)}")
    if spec.parameters:
        lines += ["", "arguments:", *(f"  {_parameter(one)}" for one in spec.parameters)]
    if spec.examples:
        lines += ["", "asked for by words such as:", *(f"  {example}" for example in spec.examples)]
    return [printable(line, keep_lines=False) for line in lines]


def _parameter(one: Parameter) -> str:
    allowed = f", one of {', '.join(one.choices)}" if one.choices else ""
    bounds = _bounds(one)
    default = "required" if one.required else f"default {one.default!r}"
    about = f": {one.description}" if one.description else ""
    return f"{one.name} ({one.type}{allowed}{bounds}, {default}){about}"


def _bounds(one: Parameter) -> str:
    if one.minimum is not None and one.maximum is not None:
        return f", {one.minimum:g} to {one.maximum:g}"
    if one.minimum is not None:
        return f", at least {one.minimum:g}"
    return f", at most {one.maximum:g}" if one.maximum is not None else ""
