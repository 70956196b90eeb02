"""Which attempts get a key, which one, and how often the store is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from nadg.domain.assignment import Items, Whole
from nadg.domain.blob import Value
from nadg.domain.commands import AdoptAttempt, Command, Dispatch
from nadg.domain.plan import Plan
from nadg.domain.run import RunOptions
from nadg.domain.states import SubtaskState
from nadg.link.blobfolder import BlobFolder
from nadg.orchestrator.progress import RunProgress, ShardProgress, create_progress, create_subtask
from nadg.orchestrator.reuse import Reuse
from nadg.store.api import ReusableOutcome


class Asked:
    """A store that has nothing, and remembers for how many keys each question was."""

    def __init__(self) -> None:
        self.counts: list[int] = []

    async def reusable(self, keys: Iterable[str], environments: Collection[str]) -> dict[str, ReusableOutcome]:
        self.counts.append(len(set(keys)))
        return {}


def run_of(shards: int = 1, **more: object) -> RunProgress:
    work = {"kind": "python", "code": "result = item"}
    plan = Plan.model_validate({"subtasks": [{"id": "a", "work": work} | more]})
    run = create_progress("r", plan, RunOptions(), {})
    run.subtasks["a"].shards = [
        ShardProgress(piece=Items(first=at, count=1, values=Value(inline=b"[1]"))) for at in range(shards)
    ]
    return run


def dispatch(index: int, number: int = 1) -> Dispatch:
    return Dispatch(attempt_id=f"r/a/{index}/{number}", subtask_id="a", shard_index=index)


def look_up(
    folder: Path, run: RunProgress, *turns: Sequence[Command], environments: frozenset[str] = frozenset({"here"})
) -> list[int]:
    """For how many keys each question to the store was; keys of attempts stand in the run."""
    store = Asked()
    reuse = Reuse(store, lambda: environments, BlobFolder(folder / "blobs"), ())

    async def inside() -> None:
        for turn in turns:
            assert await reuse.look_up(run, turn) == {}

    asyncio.run(inside())
    return store.counts


def test_the_store_is_asked_about_many_shards_at_once(tmp_path: Path) -> None:
    run = run_of(1200)
    assert look_up(tmp_path, run, *([dispatch(index)] for index in range(1200))) == [500, 500, 200]
    assert len(set(run.cache_keys.values())) == 1200
    again = run_of(1200)
    assert look_up(tmp_path, again, [dispatch(index) for index in range(1200)]) == [1200]
    assert again.cache_keys == run.cache_keys


def test_a_retry_has_the_key_of_its_shard_and_is_not_looked_up_again(tmp_path: Path) -> None:
    run = run_of(2)
    assert look_up(tmp_path, run, [dispatch(0), dispatch(1)], [dispatch(0, 2)]) == [2]
    assert run.cache_keys["r/a/0/1"] == run.cache_keys["r/a/0/2"] != run.cache_keys["r/a/1/1"]


def test_mended_code_is_other_work_and_is_looked_up(tmp_path: Path) -> None:
    run = run_of(2)
    store = Asked()
    reuse = Reuse(store, lambda: frozenset({"here"}), BlobFolder(tmp_path / "blobs"), ())

    async def inside() -> None:
        await reuse.look_up(run, [dispatch(0)])
        run.subtasks["a"].code, run.subtasks["a"].code_number = "result = item + 1", 1
        await reuse.look_up(run, [dispatch(1)])

    asyncio.run(inside())
    assert store.counts == [2, 1]
    mended = run_of(2)
    mended.subtasks["a"].code = "result = item + 1"
    look_up(tmp_path, mended, [dispatch(1)])
    assert run.cache_keys["r/a/1/1"] == mended.cache_keys["r/a/1/1"]


def test_attempts_of_another_master_get_no_key(tmp_path: Path) -> None:
    run = run_of()
    adopt = AdoptAttempt(attempt_id="r/a/0/1", subtask_id="a", shard_index=0, worker="w")
    assert look_up(tmp_path, run, [adopt]) == []
    assert run.cache_keys == {}


def test_what_nobody_wants_or_may_serve_gets_no_key(tmp_path: Path) -> None:
    over = run_of()
    over.subtasks["a"].state = SubtaskState.CANCELLED
    asked = run_of(work={"kind": "prompt", "prompt": "say it"})
    lacking = run_of(inputs=("b/x.csv",), needs=("b",))
    lacking.subtasks["b"] = create_subtask(lacking.subtasks["a"].spec, {})
    for run in (over, asked, lacking, run_of(cache=False)):
        assert look_up(tmp_path, run, [dispatch(0)]) == []
        assert run.cache_keys == {}


def test_where_no_worker_is_connected_nothing_is_asked_yet(tmp_path: Path) -> None:
    run = run_of(2)
    assert look_up(tmp_path, run, [dispatch(0)], environments=frozenset()) == []
    assert set(run.cache_keys) == {"r/a/0/1"}
    alone = run_of()
    alone.subtasks["a"].shards[0].piece = Whole()
    alone.options = RunOptions(use_cache=False)
    assert look_up(tmp_path, alone, [dispatch(0)]) == []
    assert set(alone.cache_keys) == {"r/a/0/1"}
