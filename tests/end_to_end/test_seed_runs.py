"""The five example commands, planned by a model over real HTTP, on a real grid, to an answer with real figures."""

from __future__ import annotations

import functools
import json
import re
from typing import Any

import pytest

from tests.end_to_end.seed_figures import FIGURES
from tests.end_to_end.seed_model import PROMPTS, write_answer
from tests.support.gemini import Say
from tests.support.model_grid import Finished, ModelGrid
from tests.support.scripted_model import data_in
from tests.support.seed_plans import SEEDS, Seed

BY_NAME = {seed.name: seed for seed in SEEDS}


def run_seed(grid: ModelGrid, seed: Seed) -> Finished:
    parts: dict[str, Any] = {"plan": Say(seed.text, chunk=64), "answer": functools.partial(write_answer, seed)}
    if seed.name in PROMPTS:
        parts["prompt"] = PROMPTS[seed.name]
    return grid.run(seed.command, seed.files, **parts)


@pytest.fixture(scope="module")
def runs(grid: ModelGrid) -> dict[str, Finished]:
    """All five, one after the other on one grid."""
    return {seed.name: run_seed(grid, seed) for seed in SEEDS}


@pytest.fixture(params=[seed.name for seed in SEEDS])
def run(request: pytest.FixtureRequest, runs: dict[str, Finished]) -> tuple[Seed, Finished]:
    return BY_NAME[request.param], runs[request.param]


def test_the_run_succeeds_as_it_was_planned(run: tuple[Seed, Finished]) -> None:
    seed, done = run
    assert (done.document["state"], done.document["reason"]) == ("succeeded", "")
    assert done.document["planner"] == "google:gemini-3.5-flash-lite"
    assert {one["id"]: one["state"] for one in done.document["subtasks"]} == {
        one["id"]: "succeeded" for one in seed.document["subtasks"]
    }
    assert len(done.asked("plan")) == 1
    assert done.asked("plan")[0].stream
    assert done.watcher.notices == []


def test_the_answer_holds_the_figures_that_the_files_give(run: tuple[Seed, Finished]) -> None:
    seed, done = run
    for figure in FIGURES[seed.name]():
        assert figure in done.answer


def test_the_answer_rests_on_subtasks_that_succeeded(run: tuple[Seed, Finished]) -> None:
    seed, done = run
    cited = set(re.findall(r"\[([a-z][a-z0-9_-]*)\]", done.answer))
    assert len(cited) > 1
    assert cited <= {one["id"] for one in done.document["subtasks"] if one["state"] == "succeeded"}
    body, _, sources = done.answer.partition("\n## Sources\n")
    for block in body.split("\n\n"):
        assert block.startswith("#") or block.rstrip().endswith("]"), block
    titles = {one["id"]: one["title"] for one in seed.document["subtasks"]}
    listed = re.findall(r"^- \[([a-z][a-z0-9_-]*)\] (.+)$", sources, re.M)
    assert dict(listed) == {one: titles[one] for one in cited}


def test_receipts_say_who_did_what(run: tuple[Seed, Finished]) -> None:
    for subtask in run[1].document["subtasks"]:
        attempts = [attempt for shard in subtask["shards"] for attempt in shard["attempts"]]
        assert attempts
        for attempt in attempts:
            assert re.fullmatch("[0-9a-f]{64}", attempt["code_sha256"])
            if subtask["kind"] == "prompt":
                assert (attempt["worker"], attempt["sandbox_tier"]) == ("master", None)
                usage = attempt["model_usage"]
                assert usage["answers"] == usage["requests"] > 0
                assert min(usage["input_tokens"], usage["output_tokens"]) > 0
            else:
                assert attempt["worker"] not in ("", "master")
                assert attempt["sandbox_tier"] in ("landlock", "namespaces", "container", "vm")
                assert (attempt["exit_code"], attempt["model_usage"]) == (0, None)


def test_every_request_is_recorded_with_its_price(run: tuple[Seed, Finished]) -> None:
    done = run[1]
    calls = done.document["calls"]
    assert len(calls) == len(done.requests)
    assert {one["state"] for one in calls} == {"answered"}
    assert all(one["cost_usd"] > 0 and one["input_tokens"] > 0 for one in calls)
    usage = done.document["usage"]
    assert usage["requests"] == len(calls)
    assert usage["input_tokens"] == sum(one["input_tokens"] for one in calls)
    assert usage["cost_usd"] == pytest.approx(sum(one["cost_usd"] for one in calls))
    assert calls[0]["purpose"] == "plan"
    assert calls[-1]["purpose"] == "answer"


def test_together_they_have_every_kind_of_work_and_a_reduce(runs: dict[str, Finished]) -> None:
    subtasks = [one for done in runs.values() for one in done.document["subtasks"]]
    assert {one["kind"] for one in subtasks} == {"prompt", "python", "skill"}
    assert runs["products"].calls("prompt")[0]["subtask"] == "texts"
    for asked in runs["reviews"].asked("prompt"):
        assert list(data_in(asked)) == ["item"], "each question holds its own item, not the whole list"
    assert len(runs["products"].asked("prompt")) == 12
    assert len(runs["products"].subtask("texts")["result"]) == 12
    assert "catalogue" in [one["id"] for one in subtasks if "texts" in one["needs"]]


def test_the_written_client_passed_its_own_tests_in_the_sandbox(
    runs: dict[str, Finished], grid: ModelGrid
) -> None:
    checked = runs["client"].subtask("checked")
    assert checked["result"] == {"tests": 7, "failed": 0}
    (attempt,) = runs["client"].attempts("checked")
    assert attempt["sandbox_tier"] is not None
    names = {one["name"] for one in runs["client"].subtask("package")["artifacts"]}
    assert names == {f"tern_client/{name}" for name in ("README.md", "tern_client.py", "test_tern_client.py")}


def test_tests_that_fail_in_the_sandbox_fail_the_run(grid: ModelGrid) -> None:
    """The positive control: a client with a fault does not pass, and nobody mends it into passing."""
    seed = BY_NAME["client"]
    document = seed.document
    (client,) = [one for one in document["subtasks"] if one["id"] == "client"]
    assert "Bearer {self._token}" in client["work"]["code"]
    client["work"]["code"] = client["work"]["code"].replace("Bearer {self._token}", "Basic {self._token}")
    checked = next(one for one in document["subtasks"] if one["id"] == "checked")
    same = json.dumps({"cause": "none", "code": checked["work"]["code"]})
    done = grid.run(
        f"{seed.command}, badly",  # another command: the plan of this one is in the cache
        seed.files,
        plan=Say(json.dumps(document)),
        prompt=PROMPTS["client"],
        repair=Say(same),
    )
    assert done.document["state"] == "failed"
    assert "AssertionError: test_booking_sends_json" in done.subtask("checked")["reason"]
