"""What `nadg runs` does: show runs that were, ask for their end."""

from __future__ import annotations

import json

import msgspec

from nadg.cli.configuration import read_settings
from nadg.cli.console import create_console, print_table
from nadg.cli.records import open_records
from nadg.cli.render.answer import answer_renderable, verdict
from nadg.cli.render.plan import plan_tree
from nadg.cli.render.record import failure_details, files_table, note_lines, subtasks_table
from nadg.cli.render.tables import derived_words, runs_table
from nadg.cli.render.usage import usage_line, usage_table
from nadg.domain.run import RunRecord


async def list_runs(limit: int, as_json: bool) -> None:
    """The latest runs, newest first."""
    async with open_records(read_settings()) as records:
        runs = await records.runs(limit)
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(runs), indent=2).decode())
    elif runs:
        print_table(create_console(), runs_table(runs))
    else:
        print('No runs yet. Start one: nadg run "Summarise the reviews" --input reviews.csv')


async def show_run(prefix: str, as_json: bool, plan: bool) -> None:
    """One run in full, or its plan alone."""
    async with open_records(read_settings()) as records:
        if plan:
            show_plan_of(await records.run(prefix), as_json)
        elif as_json:
            print(json.dumps(await records.document(prefix), indent=2))
        else:
            record = await records.run(prefix)
            show_whole(record, await records.answer(record))


def show_whole(record: RunRecord, answer: str) -> None:
    """For people: plan, verdict, subtasks, what models took, files, notes, failures, and the answer."""
    console = create_console()
    console.print(plan_tree(record.plan, command=record.command, planner=record.planner))
    console.print(verdict(record), soft_wrap=True)
    came_from = derived_words(record.parent, record.options.forked_from)
    if came_from:
        start = f" from {record.options.forked_from} on" if record.options.forked_from else ""
        console.print(f"It {came_from}{start}", soft_wrap=True)
    print_table(console, subtasks_table(record))
    spent = usage_table(record)
    if spent is not None:
        console.print(usage_line(record), soft_wrap=True)
        console.print()
        print_table(console, spent)
    files = files_table(record)
    if files is not None:
        console.print()
        print_table(console, files)
    for note in note_lines(record):
        console.print(f"Note: {note}", soft_wrap=True)
    for detail in failure_details(record):
        console.print(f"\n{detail}", soft_wrap=True)
    console.print()
    console.print(answer_renderable(answer, terminal=console.is_terminal), soft_wrap=not console.is_terminal)


def show_plan_of(record: RunRecord, as_json: bool) -> None:
    """As a plan file has it."""
    from nadg.bootstrap.catalogue import plan_of_run, plan_text

    plan = plan_of_run(record)
    print(json.dumps(plan.document(), indent=2) if as_json else plan_text(plan).rstrip("\n"))


async def cancel_run(prefix: str) -> None:
    """Leave the request for the master that owns the run; where that is gone, the run is ended at once."""
    async with open_records(read_settings()) as records:
        answer = await records.cancel(prefix)
    if answer.ended:
        print(f"Run {answer.id} is cancelled; its master was gone, so it had come to a halt.")
    elif answer.asked:
        print(f"Asked run {answer.id} to end.")
    else:
        print(f"Run {answer.id} has already ended; nothing to cancel.")
