"""Runs over HTTP: submitted, refused with one sentence, followed, cancelled."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from typing import Any

import pytest

from tests.support.master_process import MasterProcess

EMPTY = hashlib.sha256(b"").hexdigest()


def python(code: str, **more: Any) -> dict[str, Any]:
    return {"subtasks": [{"id": "one", "work": {"kind": "python", "code": code}, **more}]}


def events_until(master: MasterProcess, run_id: str, kind: str, *states: str) -> int:
    """Follow a run until such a change, however often that takes asking; gives its number."""
    seen = 0
    while True:
        for event in master.ask("GET", f"/v1/runs/{run_id}/events?after={seen}&wait=20").document["events"]:
            assert event["seq"] == seen + 1
            seen = int(event["seq"])
            if event["change"]["change"] == kind and event["change"].get("state") in states:
                return seen


def ended(master: MasterProcess, run_id: str) -> dict[str, Any]:
    """The run's document at its end."""
    events_until(master, run_id, "run", "succeeded", "failed", "cancelled")
    document: dict[str, Any] = master.ask("GET", f"/v1/runs/{run_id}").document
    return document


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "either a command in words or a plan"),
        (b"{", "body: is not JSON"),
        (b"\xff\xfe", "body: is not JSON"),
        (b"[]", "body: Expected `object`, got `array`"),
        (b'{"plan": {"a": ' + b"[" * 100_000, "body: is nested deeper"),
        (b'{"command": 7}', "command: Expected `str | null`, got `int`"),
        (b'{"command": "  "}', "command: is empty"),
        (b'{"comand": "x"}', "unknown field `comand`"),
        (b'{"command": "x", "plan": {}}', "and not both"),
        (b'{"command": "x", "id": "../../etc"}', "is no id of a run"),
        (b'{"command": "x", "options": {"timeout_seconds": -1}}', "options.timeout_seconds: give"),
        (b'{"command": "x", "options": {"timeout_seconds": 1e999}}', "options.timeout_seconds"),
        (
            b'{"command": "x", "options": {"min_sandbox": "weak"}}',
            "options.min_sandbox: Invalid",
        ),
        (b'{"command": "x", "wishes": {"budget": {"usd": -3}}}', "wishes.budget.usd: give"),
        (b'{"command": "x", "wishes": {"planner": "magic"}}', "wishes.planner: Invalid enum value 'magic'"),
        (b'{"command": "x", "wishes": {"model": "no colon"}}', "wishes.model: "),
        (b'{"command": "x", "wishes": {"planner": "model"}}', "no language model is configured"),
        (b'{"command": "x", "inputs": [{"name": "../a", "sha256": "", "size": 1}]}', "inputs[0].name: '../a'"),
        (b'{"command": "x", "inputs": [{"name": "", "sha256": "", "size": 1}]}', "inputs[0].name: ''"),
        (b'{"command": "x", "inputs": [{"name": "a", "sha256": "nope", "size": 1}]}', "has no such blob; send it"),
        (b'{"plan": {"subtasks": []}}', "holds 0 subtasks"),
        (b'{"plan": 5}', "plan: Expected `object | null`, got `int`"),
    ],
)
def test_junk_is_one_sentence(master: MasterProcess, body: bytes, words: str) -> None:
    answer = master.ask("POST", "/v1/runs", body, content_type="application/json")
    assert (answer.status, words in answer.detail) == (422, True), answer.body
    assert "\n" not in answer.detail
    assert "Traceback" not in answer.detail


def test_all_problems_of_a_plan_are_listed(master: MasterProcess) -> None:
    plan = {"subtasks": [{"id": "A", "work": {"kind": "magic"}}, {"id": "b"}]}
    answer = master.post("/v1/runs", {"plan": plan})
    assert answer.status == 422
    assert [one["place"] for one in answer.document["problems"]] == [
        "subtasks[0].id",
        "subtasks[0].work.kind",
        "subtasks[1]",
    ]


def test_a_run_is_followed_to_its_answer(master: MasterProcess) -> None:
    content = b"text,stars\nlovely,5\nawful,1\n"
    name = hashlib.sha256(content).hexdigest()
    assert master.put(f"/v1/blobs/{name}", content).status == 201
    given = {"name": "reviews.csv", "sha256": name, "size": len(content)}
    code = "open('made.txt', 'w').write('x'); result = open(inputs['reviews.csv']).read().count('\\n')"
    plan = python(code, inputs=["reviews.csv"])
    answer = master.post("/v1/runs", {"plan": plan, "plan_name": "mine.yaml", "inputs": [given]})
    assert answer.status == 201, answer.body
    run_id = answer.document["id"]
    document = ended(master, run_id)
    assert (document["state"], document["command"], document["subtasks"][0]["result"]) == (
        "succeeded",
        "mine.yaml",
        3,
    )
    assert document["inputs"] == {"reviews.csv": name}
    assert b"**3**" in master.ask("GET", f"/v1/runs/{run_id[:14]}/answer").body
    (made,) = document["subtasks"][0]["artifacts"]
    assert master.ask("GET", f"/v1/blobs/{made['sha256']}").body == b"x"
    assert run_id in [one["id"] for one in master.ask("GET", "/v1/runs?limit=3").document]
    wrong = master.post("/v1/runs", {"plan": plan, "inputs": [given | {"size": 1}]})
    assert (wrong.status, "says 1 bytes, and the blob has" in wrong.detail) == (422, True)
    twice = master.post("/v1/runs", {"plan": plan, "inputs": [given, given]})
    assert (twice.status, "stands twice" in twice.detail) == (422, True)


def test_the_same_id_again_is_the_same_run(master: MasterProcess) -> None:
    """Whoever was cut off while he asked asks again, at the same time or later."""
    run_id = "1m8akp5nfe6kkaz7"
    asked = {"id": run_id, "plan": python("result = 1")}
    answers: list[int] = []

    def ask() -> None:
        answers.append(master.post("/v1/runs", asked).status)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (answers, ended(master, run_id)["state"]) == ([201, 201], "succeeded")
    again = master.post("/v1/runs", asked)
    assert (again.status, again.document) == (201, {"id": run_id})
    assert [one["id"] for one in master.ask("GET", "/v1/runs").document].count(run_id) == 1


def test_a_waiting_follower_is_woken_by_what_happens_and_the_run_is_cancelled(master: MasterProcess) -> None:
    run_id = master.post("/v1/runs", {"plan": python("while True: pass")}).document["id"]
    seen = events_until(master, run_id, "attempt", "running")
    begun = time.monotonic()
    assert master.ask("GET", f"/v1/runs/{run_id}/events?after={seen}&wait=0.2").document == {"events": []}
    assert 0.2 <= time.monotonic() - begun < 5
    pages: list[Any] = []
    path = f"/v1/runs/{run_id}/events?after={seen}&wait=30"
    waiting = threading.Thread(target=lambda: pages.append(master.ask("GET", path).document["events"]))
    waiting.start()
    cancelled = master.post(f"/v1/runs/{run_id}/cancel", {"reason": "enough"})
    assert (cancelled.status, cancelled.document) == (202, {"id": run_id, "asked": True, "ended": False})
    waiting.join(timeout=20)
    assert pages
    assert pages[0][0]["seq"] == seen + 1
    document = ended(master, run_id)
    assert (document["state"], document["reason"]) == ("cancelled", "enough")
    assert master.ask("POST", f"/v1/runs/{run_id}/cancel").document["asked"] is False


@pytest.mark.parametrize("query", ["after=-1", "after=x", "after=1e3", "wait=soon", "wait=-1", "wait=nan"])
def test_a_query_that_does_not_fit_is_one_sentence(master: MasterProcess, query: str) -> None:
    answer = master.ask("GET", f"/v1/runs/zzz/events?{query}")
    assert (answer.status, query.split("=")[0] in answer.detail) == (422, True)


@pytest.mark.parametrize("path", ["", "/record", "/events", "/answer"])
def test_what_is_not_there_is_said_to_be(master: MasterProcess, path: str) -> None:
    answer = master.ask("GET", f"/v1/runs/zzzz{path}")
    assert (answer.status, "zzzz" in answer.detail) == (404, True)
    assert master.ask("GET", "/v1/nothing").status == 404
    assert master.ask("DELETE", "/v1/runs", content_type="application/json").status == 405


@pytest.mark.parametrize("run_id", ["%00", "a%00b", "%E2%80%AE", "a%20b", "x" * 5000])
@pytest.mark.parametrize("path", ["", "/record", "/events", "/answer", "/cancel"])
def test_what_cannot_be_an_id_is_not_there(master: MasterProcess, run_id: str, path: str) -> None:
    """PostgreSQL takes no NUL: it is not asked."""
    method, kind = ("POST", "application/json") if path == "/cancel" else ("GET", "")
    answer = master.ask(method, f"/v1/runs/{run_id}{path}", content_type=kind)
    assert (answer.status, "no run '" in answer.detail) == (404, True), answer.body


def test_what_cannot_be_the_parent_of_a_run_is_not_there(master: MasterProcess) -> None:
    answer = master.post("/v1/runs", {"parent": "a\0b"})
    assert (answer.status, "no run '" in answer.detail) == (404, True), answer.body


def test_the_registry_of_workers_is_shown(master: MasterProcess) -> None:
    (worker,) = master.ask("GET", "/v1/workers").document
    assert (worker["local"], worker["slots"]) == (True, 1)


def test_blobs_are_what_their_names_say(master: MasterProcess) -> None:
    content = json.dumps({"a": list(range(1000))}).encode()
    name = hashlib.sha256(content).hexdigest()
    assert master.ask("GET", f"/v1/blobs/{name}").status == 404
    wrong = master.put(f"/v1/blobs/{EMPTY}", content)
    assert (wrong.status, "hash to" in wrong.detail) == (422, True)
    assert [master.put(f"/v1/blobs/{name}", content).status for _ in "ab"] == [201, 200]
    assert master.ask("GET", f"/v1/blobs/{name}").body == content
    assert master.ask("HEAD", f"/v1/blobs/{name}").headers["content-length"] == str(len(content))
    for bad in ("..%2f..%2fnadg.db", name.upper(), name[:-1], "x" * 64):
        assert master.put(f"/v1/blobs/{bad}", content).status in (404, 422)
        assert master.ask("GET", f"/v1/blobs/{bad}").status == 404
    assert list((master.home / "blobs" / "incoming").iterdir()) == []
