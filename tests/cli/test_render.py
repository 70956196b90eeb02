"""What a terminal shows: plans, progress, answers and lists, and that no text of others can act on it."""

from __future__ import annotations

import datetime
import io
import string

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console, RenderableType

from nadg.cli.progress import RunProgress
from nadg.cli.render import progress as rendered
from nadg.cli.render.answer import answer_renderable, folder_line, verdict
from nadg.cli.render.code import work_blocks
from nadg.cli.render.plan import depths, plan_tree
from nadg.cli.render.record import subtasks_table
from nadg.cli.render.safe import one_line, printable
from nadg.cli.render.tables import runs_table, skill_lines, skills_table, worker_lines
from nadg.cli.render.units import counted, duration, moment, size
from nadg.cli.render.workers import workers_list
from nadg.domain.assignment import Merge, Whole
from nadg.domain.changes import (
    AttemptAdded,
    AttemptChanged,
    Change,
    RunChanged,
    ShardChanged,
    ShardsAdded,
    SubtaskChanged,
)
from nadg.domain.outcome import Outcome, Receipt
from nadg.domain.plan import Plan
from nadg.domain.run import AttemptRecord, RunOptions, RunRecord, RunSummary, ShardRecord, SubtaskRecord
from nadg.domain.skill import Parameter, SkillSpec
from nadg.domain.states import AttemptState, RunState, ShardState, SubtaskState
from nadg.domain.tier import Tier
from nadg.domain.worker import MASTER, WorkerInfo, WorkerNode, WorkerStatus

NOON = datetime.datetime(2026, 1, 2, 12, 0, 0, tzinfo=datetime.UTC)
HARMFUL = "\x1b]52;c;ZXZpbA==\x07 \x1b[2J \x9b31m \u202e \r over \ud800 [bold]b[/bold] :boom:"


def shown(thing: RenderableType, *, width: int = 200, terminal: bool = False) -> str:
    console = Console(
        file=io.StringIO(), width=width, force_terminal=terminal, markup=False, emoji=False, highlight=False
    )
    console.print(thing)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def plan(**extra: object) -> Plan:
    return Plan.model_validate(
        {
            "goal": "estimate pi",
            "subtasks": [
                {
                    "id": "throw",
                    "title": "Throw darts",
                    "work": {"kind": "python", "code": "import random\nresult = random.random()"},
                    "foreach": {"items": [1, 2, 3]},
                },
                {"id": "other", "work": {"kind": "skill", "skill": "table.describe"}, "on_failure": "continue"},
                {
                    "id": "pi",
                    "title": "Combine",
                    "needs": ["other", "throw"],
                    "work": {"kind": "python", "code": "result = 1"},
                },
            ],
            **extra,
        }
    )


def test_a_plan_is_a_tree_with_every_subtask_once() -> None:
    text = shown(plan_tree(plan(), command="", planner="file"))
    lines = text.splitlines()
    assert lines[0] == "estimate pi  3 subtasks, planned by file"
    assert "throw  Throw darts  python, 2 lines · each of 3 items" in text
    assert "other  skill table.describe · may fail" in text
    assert "pi  Combine  python, 1 line · also needs throw · the answer" in text
    assert len(lines) == 4
    assert lines[3].startswith("    ") or lines[2].startswith("│   "), "pi stands below a need"


def test_the_tree_says_which_files_are_read() -> None:
    work = {"kind": "prompt", "prompt": "Sum it up."}
    names = ["cars.csv", *(f"{n}.txt" for n in range(9))]
    parts = [{"id": "one", "work": work, "inputs": ["cars.csv"]}, {"id": "many", "work": work, "inputs": names}]
    made = Plan.model_validate({"subtasks": parts})
    lines = shown(plan_tree(made, command="x", planner="file")).splitlines()
    assert "one  prompt · reads cars.csv" in lines[1]
    assert "reads cars.csv, 0.txt, 1.txt, 2.txt, 3.txt, 4.txt, 5.txt, 6.txt and 2 more files" in lines[2]
    blocks = "".join(shown(block) for block in work_blocks(made, terminal=False))
    assert [name for name in names if f"    reads: {name}\n" not in blocks] == []


def test_a_long_chain_is_drawn_whole_and_within_the_terminal() -> None:
    work = {"kind": "python", "code": "result = 1"}
    chain = [{"id": f"s{n}", "work": work, "needs": [f"s{n - 1}"] if n else []} for n in range(200)]
    lines = shown(plan_tree(Plan.model_validate({"subtasks": chain}), command="x", planner="")).splitlines()
    assert len(lines) == 201
    assert "s199  python, 1 line · needs s198 · the answer" in lines[-1]


@given(st.integers(1, 40), st.randoms(use_true_random=False))
def test_any_dag_is_drawn_whole(count: int, random: object) -> None:
    choose = random.sample  # type: ignore[attr-defined] # hypothesis gives a random.Random
    subtasks = [
        {
            "id": f"s{place}",
            "work": {"kind": "python", "code": "result = 1"},
            "needs": [f"s{other}" for other in choose(range(place), min(place, 3))],
        }
        for place in range(count)
    ]
    dag = Plan.model_validate({"subtasks": list(reversed(subtasks)), "answer": "s0"})
    depth = depths(dag)
    assert all(depth[need] < depth[one.id] for one in dag.subtasks for need in one.needs)
    assert len(shown(plan_tree(dag, command="x", planner="")).splitlines()) == count + 1


def test_depths_of_a_cycle_are_refused() -> None:
    work = {"kind": "python", "code": "result = 1"}
    subtasks = [{"id": "a", "needs": ["b"], "work": work}, {"id": "b", "needs": ["a"], "work": work}]
    with pytest.raises(ValueError, match="cycle"):
        depths(Plan.model_validate({"subtasks": subtasks}))


@given(st.text())
def test_printable_text_holds_no_control_character(text: str) -> None:
    safe = printable(text)
    assert not any((ord(one) < 32 and one not in "\n\t") or 0x7F <= ord(one) < 0xA0 for one in safe)
    assert "\u202e" not in safe
    safe.encode("utf-8")
    assert "\n" not in printable(text, keep_lines=False)


@given(st.text(alphabet=string.printable.replace("\r", "").replace("\x0b", "").replace("\x0c", "")))
def test_plain_text_is_left_as_it_is(text: str) -> None:
    assert printable(text) == text


@given(st.text(), st.integers(2, 50))
def test_one_line_is_one_line_of_that_width(text: str, width: int) -> None:
    assert len(one_line(text, width)) <= width
    assert "\n" not in one_line(text, width)


def test_no_text_of_others_reaches_the_terminal_as_a_command() -> None:
    evil = plan(goal=HARMFUL.replace("\ud800", ""))
    skill = SkillSpec(name="x.y", summary=HARMFUL, parameters=(Parameter(name="p", type="string"),))
    node = WorkerNode(id="1", vm_url=HARMFUL, status=WorkerStatus.OFFLINE, name=HARMFUL, reason=HARMFUL)
    summary = RunSummary(id="r", command=HARMFUL, planner="x", state=RunState.FAILED, created_at=NOON)
    texts = [
        shown(plan_tree(evil, command=HARMFUL, planner=HARMFUL)),
        shown(answer_renderable(HARMFUL, terminal=False)),
        shown(skills_table({"x.y": skill})),
        shown(workers_list([node], NOON)),
        shown(runs_table([summary])),
        "\n".join(skill_lines(skill)),
        "\n".join(worker_lines(WorkerInfo(name=HARMFUL, slots=1, tier=Tier.NONE))),
        "\n".join(rendered.output_lines("a", 0, "stdout", HARMFUL)),
    ]
    for text in texts:
        assert not set(text) & set("\x1b\x07\x9b\u202e\r\ud800")
    assert all("[bold]b[/bold]" in text for text in texts if "over" in text)


def test_markdown_on_a_terminal_gets_no_escape_from_its_text() -> None:
    text = shown(
        answer_renderable("# Title\n\n\x1b]0;evil\x07 [x](file:///etc/passwd)", terminal=True), terminal=True
    )
    assert "\x1b]" not in text


RUNNING = SubtaskChanged(subtask_id="part-number-1", state=SubtaskState.RUNNING)


def apply_all(progress: RunProgress, *changes: Change) -> None:
    for place, change in enumerate(changes):
        progress.apply(change, 10.0 + place)


def throw(number: int, state: AttemptState, worker: str = "w1") -> AttemptChanged:
    return AttemptChanged(attempt_id=f"run/throw/{number}/1", state=state, worker=worker)


def test_a_picture_of_an_answer_is_told_once_with_where_it_lies() -> None:
    text = "\n\n".join(
        [
            "![How scores \\[x\\] spread](artifacts/moods/my%20plot.png)",
            "*How scores \\[x\\] spread*",
            "![a.png](artifacts/one/a.png)",
            "![A cat](artifacts/one/b.png)",
            "![](artifacts/one/%1b%5b2Jc.png)",
        ]
    )
    lines = [line.strip() for line in shown(answer_renderable(text, terminal=True), width=60).splitlines()]
    assert [line for line in lines if line] == [
        "🌆 artifacts/moods/my plot.png",
        "How scores [x] spread",
        "🌆 artifacts/one/a.png",
        "🌆 A cat: artifacts/one/b.png",
        "🌆 artifacts/one/\\x1b[2Jc.png",
    ]
    assert "![a.png](" in shown(answer_renderable(text, terminal=False)), "elsewhere it is the Markdown itself"


def receipt(*, exit_code: int | None, worker: str = "w") -> Receipt:
    return Receipt(
        worker=worker,
        sandbox_tier=Tier.NONE,
        code_sha256="c",
        input_sha256s={},
        started_at=NOON,
        finished_at=NOON,
        exit_code=exit_code,
    )


def test_progress_follows_a_run() -> None:
    progress = RunProgress("run", plan(), 9.0)
    apply_all(
        progress,
        RunChanged(state=RunState.RUNNING),
        SubtaskChanged(subtask_id="throw", state=SubtaskState.PREPARING),
        ShardsAdded(subtask_id="throw", first=0, pieces=(Whole(), Whole())),
        SubtaskChanged(subtask_id="throw", state=SubtaskState.RUNNING),
        AttemptAdded(attempt_id="run/throw/0/1", subtask_id="throw", index=0, number=1),
        throw(0, AttemptState.RUNNING),
        throw(1, AttemptState.RUNNING, "w2"),
    )
    one = progress.subtasks["throw"]
    assert (one.shards_total, one.shards_done, progress.workers_in_use()) == (2, 0, {"w1", "w2"})
    assert "on 2 workers" in shown(rendered.progress_table(progress, 20.0, 2))
    assert "0/2" in shown(rendered.progress_table(progress, 20.0, 2))
    assert rendered.still_line(progress, 20.0) == "… 11 s: throw 0/2"
    assert one.seconds(20.0) == 5.0, "counted from the first attempt's start"
    apply_all(
        progress,
        throw(0, AttemptState.SUCCEEDED),
        ShardChanged(subtask_id="throw", index=0, state=ShardState.SUCCEEDED),
        throw(1, AttemptState.LOST, "w2"),
    )
    assert progress.workers_in_use() == set()
    assert one.lost_attempts == 1
    again = AttemptChanged(attempt_id="run/throw/1/2", state=AttemptState.RUNNING, worker="w1")
    progress.apply(again, 20.0)
    assert one.seconds(21.0) == 6.0
    progress.apply(msgspec.structs.replace(again, state=AttemptState.SUCCEEDED), 29.0)
    progress.apply(ShardChanged(subtask_id="throw", index=1, state=ShardState.SUCCEEDED), 30.0)
    progress.apply(SubtaskChanged(subtask_id="throw", state=SubtaskState.SUCCEEDED), 31.0)
    expected = "✓ throw: succeeded, 2/2 shards, 2 workers, 1 attempt lost, 14 s"
    assert rendered.ended_line(one, 99.0) == expected
    progress.apply(RunChanged(state=RunState.FAILED, reason="because"), 32.0)
    assert (progress.state, progress.reason) == (RunState.FAILED, "because")


def test_attempts_that_never_began_are_not_counted() -> None:
    progress = RunProgress("run", plan(), 0.0)
    never = Outcome(kind="cancelled", receipt=receipt(exit_code=None), reason="cancelled before it began")
    unseen = Outcome(kind="crashed", receipt=receipt(exit_code=70, worker="w7"), reason="it broke")
    apply_all(
        progress,
        ShardsAdded(subtask_id="throw", first=0, pieces=(Whole(),) * 5),
        throw(0, AttemptState.RUNNING),
        throw(0, AttemptState.LOST),
        throw(1, AttemptState.LOST, ""),
        throw(2, AttemptState.LOST, "w3"),
        msgspec.structs.replace(throw(3, AttemptState.CANCELLED, "w4"), outcome=never),
        msgspec.structs.replace(throw(4, AttemptState.LOST, "w7"), outcome=unseen),
    )
    one = progress.subtasks["throw"]
    assert (one.lost_attempts, one.workers) == (2, {"w1", "w7"})


def test_a_merge_is_no_shard_of_the_work() -> None:
    progress = RunProgress("run", plan(), 0.0)
    merge = (Merge(parts=()),)
    one = progress.subtasks["throw"]
    apply_all(progress, ShardsAdded(subtask_id="throw", first=0, pieces=(Whole(), Whole())))
    assert rendered.started_line(one) == "▸ throw: Throw darts, 2 shards"
    apply_all(
        progress,
        *(ShardChanged(subtask_id="throw", index=index, state=ShardState.SUCCEEDED) for index in (0, 1)),
        ShardsAdded(subtask_id="throw", first=2, pieces=merge),
        ShardChanged(subtask_id="throw", index=2, state=ShardState.SUCCEEDED),
        SubtaskChanged(subtask_id="throw", state=SubtaskState.SUCCEEDED),
    )
    assert rendered.ended_line(one, 9.0) == "✓ throw: succeeded, 2/2 shards, merged"


def test_a_narrow_terminal_still_tells_which_subtask_it_is() -> None:
    work = {"kind": "python", "code": "result = 1"}
    parts = [{"id": f"part-number-{n}", "title": "A title of quite some length", "work": work} for n in (1, 2)]
    progress = RunProgress("run", Plan.model_validate({"subtasks": parts}), 0.0)
    running = AttemptChanged(attempt_id="run/part-number-1/0/1", state=AttemptState.RUNNING, worker="w1")
    apply_all(
        progress, ShardsAdded(subtask_id="part-number-1", first=0, pieces=(Whole(),) * 1000), RUNNING, running
    )
    text = shown(rendered.progress_table(progress, 20.0, 2, width=40), width=40)
    lines = text.splitlines()
    assert lines[0].rstrip() == "▸ part-number-1  0/1000  8.0 s  on 1 wo…"
    assert lines[1].startswith("· part-number-2")
    assert lines[2].startswith("0/2 subtasks · 20 s · 1/2 workers")
    assert (len(lines), max(map(len, lines))) == (3, 40)
    wide = shown(rendered.progress_table(progress, 20.0, 2, width=100), width=100)
    assert "A title of quite some length" in wide
    assert "on 1 worker" in wide


def test_prompt_work_is_on_no_worker_and_its_tokens_give_way_on_a_narrow_terminal() -> None:
    progress = RunProgress("run", plan(), 0.0)
    asking = AttemptChanged(attempt_id="run/throw/0/1", state=AttemptState.RUNNING, worker=MASTER)
    apply_all(progress, ShardsAdded(subtask_id="throw", first=0, pieces=(Whole(),)), asking)
    one = progress.subtasks["throw"]
    one.tokens = 3526
    assert (one.workers, progress.workers_in_use()) == (set(), set())
    assert "asking a model  3,526 tokens" in shown(
        rendered.progress_table(progress, 20.0, 2, width=100), width=100
    )
    assert "3,526" not in shown(rendered.progress_table(progress, 20.0, 2, width=79), width=79)
    apply_all(progress, SubtaskChanged(subtask_id="throw", state=SubtaskState.SUCCEEDED))
    assert "worker" not in rendered.ended_line(one, 9.0)


def test_a_failed_subtask_says_why_on_one_line() -> None:
    progress = RunProgress("run", plan(), 0.0)
    progress.apply(SubtaskChanged(subtask_id="pi", state=SubtaskState.FAILED, reason="item 3:\n\x1b[2Jbad"), 1.0)
    assert rendered.ended_line(progress.subtasks["pi"], 2.0) == "✗ pi: failed: item 3: \\x1b[2Jbad"


def test_a_large_plan_shows_the_busy_part() -> None:
    work = {"kind": "python", "code": "result = 1"}
    large = Plan.model_validate({"subtasks": [{"id": f"s{place}", "work": work} for place in range(500)]})
    progress = RunProgress("run", large, 0.0)
    progress.apply(SubtaskChanged(subtask_id="s480", state=SubtaskState.RUNNING), 1.0)
    progress.apply(SubtaskChanged(subtask_id="s490", state=SubtaskState.FAILED), 1.0)
    text = shown(rendered.progress_table(progress, 2.0))
    assert "s480" in text
    assert "s490" in text
    assert "… and 480 more subtasks" in text
    assert len(text.splitlines()) == 22


def record(state: RunState, reason: str = "") -> RunRecord:
    done = SubtaskRecord(id="throw", state=SubtaskState.SUCCEEDED)
    return RunRecord(
        id="0123456789abcdef",
        command="x",
        planner="file",
        state=state,
        reason=reason,
        plan=plan(),
        inputs=(),
        options=RunOptions(),
        created_at=NOON,
        finished_at=NOON + datetime.timedelta(seconds=75),
        cancel_requested=False,
        subtasks=(done, SubtaskRecord(id="pi", state=SubtaskState.FAILED)),
    )


def test_the_verdict_says_how_it_ended() -> None:
    from pathlib import Path

    text = shown(verdict(record(RunState.FAILED, "the deadline\npassed")))
    assert text == "Run 0123456789abcdef failed (the deadline passed): 1 of 2 subtasks done, 1 min 15 s\n"
    assert folder_line(Path("nadg-out/x")) == "Files: nadg-out/x/ (answer.md, artifacts/, run.json)"


def test_the_verdict_counts_the_attempts_that_began() -> None:
    waited = AttemptRecord(id="a", number=1, state=AttemptState.LOST, worker="w2")
    ran = AttemptRecord(id="b", number=1, state=AttemptState.LOST, worker="w1", started_at=NOON)
    shard = ShardRecord(index=0, state=ShardState.CANCELLED, piece=Whole(), attempts=(waited, ran))
    run = record(RunState.CANCELLED)
    one = msgspec.structs.replace(run.subtasks[0], shards=(shard,))
    text = shown(verdict(msgspec.structs.replace(run, subtasks=(one,))))
    assert text.endswith("cancelled: 1 of 1 subtask done, 1 attempt on 1 worker, 1 min 15 s\n")


def test_the_master_is_no_worker() -> None:
    asked = [
        AttemptRecord(id=f"{n}", number=1, state=AttemptState.SUCCEEDED, worker=MASTER, started_at=NOON)
        for n in range(3)
    ]
    ran = AttemptRecord(id="b", number=1, state=AttemptState.SUCCEEDED, worker="w1", started_at=NOON)
    run = record(RunState.SUCCEEDED)
    subtasks = []
    for attempts in (tuple(asked), (ran,)):
        shard = ShardRecord(index=0, state=ShardState.SUCCEEDED, piece=Whole(), attempts=attempts)
        subtasks.append(msgspec.structs.replace(run.subtasks[0], shards=(shard,)))
    run = msgspec.structs.replace(run, subtasks=tuple(subtasks))
    assert "done, 1 attempt on 1 worker, 1 min" in shown(verdict(run))
    lines = shown(subtasks_table(run)).splitlines()
    assert lines[1].split()[:5] == ["throw", "succeeded", "1/1", "3", MASTER]
    assert lines[2].split()[:5] == ["throw", "succeeded", "1/1", "1", "1"]


def test_an_answer_that_goes_into_a_file_is_the_markdown_itself() -> None:
    assert shown(answer_renderable("# Title\n\n| a | b |\n", terminal=False)).strip() == "# Title\n\n| a | b |"


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(-1, "0.0 s"), (0.44, "0.4 s"), (9.99, "10.0 s"), (12.4, "12 s"), (185, "3 min 05 s"), (7620, "2 h 07 min")],
)
def test_durations(seconds: float, expected: str) -> None:
    assert duration(seconds) == expected


def test_counts_sizes_and_moments() -> None:
    assert [counted(0, "shard"), counted(1, "shard"), counted(2000, "shard")] == [
        "0 shards",
        "1 shard",
        "2,000 shards",
    ]
    assert [size(812), size(4000), size(12_300_000), size(5 * 10**12)] == ["812 B", "4.0 kB", "12.3 MB", "5.0 TB"]
    assert moment(None) == "–"
    assert moment(NOON) == "2026-01-02 12:00:00"


def test_a_skill_is_told_in_full() -> None:
    spec = SkillSpec(
        name="text.topics",
        summary="Find topics.",
        description="Find topics.\n\nLonger words.",
        produces=("topics.csv",),
        examples=("categorize them by topic",),
        parameters=(
            Parameter(name="count", type="integer", default=8, minimum=2, maximum=50, description="how many"),
            Parameter(name="mode", type="string", required=True, choices=("a", "b")),
        ),
    )
    text = "\n".join(skill_lines(spec))
    assert "count (integer, 2 to 50, default 8): how many" in text
    assert "mode (string, one of a, b, required)" in text
    assert "writes: topics.csv" in text
    assert "Longer words." in text
