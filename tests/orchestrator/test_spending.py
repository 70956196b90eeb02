"""What `run.json` and `answer.md` say of language models."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import msgspec

from nadg.domain.model_calls import CallCharge, CallRecord, CallState, ModelUsage, Purpose
from nadg.domain.outcome import Outcome
from nadg.domain.run import RunRecord
from nadg.domain.states import RunState
from nadg.link.blobfolder import BlobFolder
from nadg.orchestrator.answer import compose_answer
from nadg.orchestrator.export import export_run
from tests.orchestrator.test_export import record

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
USAGE = ModelUsage(
    models=("google:a",),
    answers=1,
    requests=1,
    input_tokens=100,
    output_tokens=20,
    thinking_tokens=5,
    cost_usd=0.001,
    latency_seconds=1.5,
)


def call(
    number: int,
    state: CallState,
    *,
    purpose: Purpose = "prompt",
    usage: ModelUsage | None = USAGE,
    reason: str = "",
) -> CallRecord:
    charge = CallCharge(
        id=f"c{number}",
        run_id="r",
        purpose=purpose,
        model="google:a",
        tokens=900,
        cost_usd=0.01,
        at=NOW,
        subtask_id="" if purpose == "plan" else "a",
    )
    return CallRecord(charge=charge, state=state, usage=usage, reason=reason)


def with_calls(run: RunRecord, *calls: CallRecord) -> RunRecord:
    return msgspec.structs.replace(run, calls=calls)


def test_a_run_without_models_says_that_none_was_asked(tmp_path: Path) -> None:
    blobs = BlobFolder(tmp_path / "blobs")
    document = export_run(record(blobs, b"1"), tmp_path / "out", blobs)
    assert (document["calls"], document["repairs"]) == ([], {})
    assert (document["usage"]["answers"], document["usage"]["cost_usd"]) == (0, 0.0)
    assert document["subtasks"][0]["shards"][0]["attempts"][0]["model_usage"] is None


def test_every_request_stands_there_whatever_came_of_it(tmp_path: Path) -> None:
    blobs = BlobFolder(tmp_path / "blobs")
    cached = ModelUsage(models=("google:a",), answers=1, cached=1)
    run = with_calls(
        record(blobs, b"1"),
        call(1, "answered", purpose="plan"),
        call(2, "cached", usage=cached),
        call(3, "failed", usage=ModelUsage(requests=1, cost_usd=None), reason="overloaded"),
        call(4, "charged", usage=None),
    )
    document = export_run(run, tmp_path / "out", blobs)
    assert json.loads((tmp_path / "out/run.json").read_text()) == document
    first, second, third, fourth = document["calls"]
    assert first == {
        "id": "c1",
        "purpose": "plan",
        "subtask": "",
        "model": "google:a",
        "at": NOW.isoformat(),
        "state": "answered",
        "cached": False,
        "input_tokens": 100,
        "output_tokens": 20,
        "thinking_tokens": 5,
        "cost_usd": 0.001,
        "latency_seconds": 1.5,
        "set_aside_tokens": 900,
        "reason": "",
    }
    assert (second["cached"], second["cost_usd"]) == (True, 0.0)
    assert (third["state"], third["reason"], third["cost_usd"]) == ("failed", "overloaded", None)
    assert (fourth["state"], fourth["input_tokens"], fourth["cost_usd"]) == ("charged", None, 0.01)
    assert (document["usage"]["answers"], document["usage"]["cached"]) == (2, 1)
    assert document["usage"]["cost_usd"] is None, "one price is not known, so the sum is not"


def test_repairs_are_counted_by_subtask(tmp_path: Path) -> None:
    blobs = BlobFolder(tmp_path / "blobs")
    calls = (call(1, "answered", purpose="repair"), call(2, "cached", purpose="repair"))
    lost = (call(3, "failed", purpose="repair"), call(4, "answered"))
    document = export_run(with_calls(record(blobs, b"1"), *calls, *lost), tmp_path / "out", blobs)
    assert document["repairs"] == {"a": 2}


def test_an_attempt_tells_what_its_models_took(tmp_path: Path) -> None:
    blobs = BlobFolder(tmp_path / "blobs")
    run = record(blobs, b"1")
    (subtask,) = run.subtasks
    (shard,) = subtask.shards
    (attempt,) = shard.attempts
    assert attempt.outcome is not None
    receipt = msgspec.structs.replace(attempt.outcome.receipt, model_usage=USAGE, sandbox_tier=None)
    done = msgspec.structs.replace(attempt, outcome=Outcome(kind="succeeded", receipt=receipt))
    shards = (msgspec.structs.replace(shard, attempts=(done,)),)
    told = msgspec.structs.replace(run, subtasks=(msgspec.structs.replace(subtask, shards=shards),))
    document = export_run(told, tmp_path / "out", blobs)
    usage = document["subtasks"][0]["shards"][0]["attempts"][0]["model_usage"]
    assert (usage["models"], usage["input_tokens"], usage["thinking_tokens"]) == (["google:a"], 100, 5)


def test_the_answer_of_a_model_comes_first_and_acts_on_no_terminal(tmp_path: Path) -> None:
    blobs = BlobFolder(tmp_path)
    run = msgspec.structs.replace(record(blobs, b'"the result itself"'), answer="People are happy [a].\x1b[2J\n")
    assert compose_answer(run, blobs) == "People are happy [a].\\x1b[2J\n"


def test_an_empty_answer_leaves_the_result(tmp_path: Path) -> None:
    blobs = BlobFolder(tmp_path)
    run = msgspec.structs.replace(record(blobs, b'"the result itself"'), answer=" \n")
    assert compose_answer(run, blobs) == "the result itself\n"


def test_failures_are_told_below_a_models_answer(tmp_path: Path) -> None:
    blobs = BlobFolder(tmp_path)
    run = msgspec.structs.replace(record(blobs, None, state=RunState.FAILED), answer="Half of it is done.")
    text = compose_answer(run, blobs)
    assert text.startswith("**This run failed**")
    assert text.index("Half of it is done.") < text.index("## What did not succeed")
