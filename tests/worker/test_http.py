"""The HTTP doors of a real worker process."""

from __future__ import annotations

import json
import socket
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from nadg.domain.errors import UserError
from nadg.sandbox import Policy
from nadg.worker.door import MAX_BODY_BYTES
from nadg.worker.serve import serve
from nadg.worker.settings import WorkerSettings, read_settings

SPIN = "while True: pass"


def post(worker: Any, door: str = "/execute-python", token: str | None = None, **body: Any) -> httpx.Response:
    headers = {"X-NADG-AUTH": worker.token if token is None else token}
    return httpx.post(worker.url + door, json=body, headers=headers, timeout=60)


@pytest.mark.parametrize("door", ["/execute", "/execute-python", "/no-such-door"])
@pytest.mark.parametrize("token", ["", "wrong", "a token for test"])
def test_a_wrong_token_is_401_and_nothing_runs(shared_worker: Any, door: str, token: str) -> None:
    before = httpx.get(shared_worker.url + "/status").json()["totals"]
    answer = httpx.post(shared_worker.url + door, json={"task": "result = 1"}, headers={"X-NADG-AUTH": token})
    assert (answer.status_code, "X-NADG-AUTH" in answer.json()["detail"]) == (401, True)
    assert httpx.get(shared_worker.url + "/status").json()["totals"] == before


def test_no_token_at_all_is_401_before_the_body_is_read(shared_worker: Any) -> None:
    host, port = shared_worker.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(b"POST /execute HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 401")


def test_a_foreign_host_name_on_loopback_is_refused(shared_worker: Any) -> None:
    headers = {"Host": "evil.example", "X-NADG-AUTH": shared_worker.token}
    assert httpx.get(shared_worker.url + "/status", headers=headers).status_code == 421
    assert httpx.get(shared_worker.url + "/status", headers={"Host": "localhost:1"}).status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"X-NADG-AUTH": "wrong"}, 401),
        ({"Origin": "http://localhost"}, 403),
        ({"Host": "evil.example"}, 421),
    ],
)
def test_a_link_is_refused_to_strangers_and_to_web_pages(
    shared_worker: Any, headers: dict[str, str], status: int
) -> None:
    asked = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    if "Origin" in headers or "Host" in headers:
        asked["X-NADG-AUTH"] = shared_worker.token
    assert httpx.get(shared_worker.url + "/link", headers=asked | headers).status_code == status


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "task"),
        ({"task": 5}, "task"),
        ({"task": ""}, "task: give between 1"),
        ({"task": "result = 1", "timeout": 0}, "timeout"),
        ({"task": "result = 1", "timeout": "soon"}, "timeout"),
        ({"task": {"skill": 5}}, "a skill call looks like"),
        ({"task": {"args": {}}}, "a skill call looks like"),
        ({"task": {"skill": "text.sentiment", "argz": {}}}, "a skill call looks like"),
        ({"task": {"skill": "no.such"}}, "there is no skill 'no.such'"),
        ({"task": '{"skill": "no.such"}'}, "there is no skill 'no.such'"),
    ],
)
def test_a_bad_body_is_422_with_one_sentence(shared_worker: Any, body: dict[str, Any], words: str) -> None:
    answer = post(shared_worker, "/execute", **body)
    assert answer.status_code == 422
    assert words in answer.json()["detail"]


def test_a_body_that_is_no_json_or_too_large_is_refused(shared_worker: Any) -> None:
    headers = {"X-NADG-AUTH": shared_worker.token, "Content-Type": "application/json"}
    url = shared_worker.url + "/execute"
    assert httpx.post(url, content=b"{", headers=headers).status_code == 422
    assert httpx.post(url, content=b"[" * 100_000, headers=headers).status_code in (400, 422)
    assert httpx.post(url, content=bytes(MAX_BODY_BYTES + 1), headers=headers).status_code == 413
    unannounced = httpx.post(url, content=iter([b"[" * (MAX_BODY_BYTES + 1)]), headers=headers)
    assert (unannounced.status_code, "larger than" in unannounced.text) == (413, True)
    assert post(shared_worker, task={"skill": "text.sentiment"}).status_code == 422


@pytest.mark.parametrize("door", ["/execute", "/execute-python"])
@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded", "application/jsonx"])
def test_a_body_that_is_not_said_to_be_json_is_told_how(shared_worker: Any, door: str, kind: str | None) -> None:
    headers = {"X-NADG-AUTH": shared_worker.token} | ({"Content-Type": kind} if kind else {})
    answer = httpx.post(shared_worker.url + door, content=b'{"task": "result = 1"}', headers=headers)
    assert answer.status_code == 422
    assert "`Content-Type: application/json`" in answer.json()["detail"]
    headers["Content-Type"] = "application/json; charset=utf-8"
    answer = httpx.post(shared_worker.url + door, content=b'{"task": "result = 1"}', headers=headers, timeout=60)
    assert answer.json()["status"] == "completed"
    answer = httpx.post(shared_worker.url + door, content=b'{"task": 1}', headers=headers)
    assert answer.json()["detail"].startswith("task")


def test_a_task_that_takes_too_long_is_408_and_is_dead(shared_worker: Any) -> None:
    answer = post(shared_worker, task=SPIN, timeout=0.3, task_id="slow")
    body = answer.json()
    assert (answer.status_code, body["status"], body["task_id"]) == (408, "failed", "slow")
    assert body["error"]
    assert httpx.get(shared_worker.url + "/status").json()["running"] == 0


def test_over_capacity_is_429_while_health_answers_and_then_it_goes_on(shared_worker: Any) -> None:
    slots = httpx.get(shared_worker.url + "/status").json()["slots"]
    slow = {"task": SPIN, "timeout": 3}
    spinning = [threading.Thread(target=post, args=(shared_worker,), kwargs=slow) for _ in range(slots)]
    for thread in spinning:
        thread.start()
    with httpx.Client(timeout=2) as client:
        while client.get(shared_worker.url + "/status").json()["running"] < slots:
            pass
        full = post(shared_worker, task="result = 1")
        for _ in range(50):
            assert client.get(shared_worker.url + "/health").json()["status"] == "healthy"
    for thread in spinning:
        thread.join()
    assert (full.status_code, full.headers["Retry-After"]) == (429, "1")
    assert post(shared_worker, task="result = 1").json()["output"] == "1"


def test_a_failing_task_is_completed_work_with_an_error(shared_worker: Any) -> None:
    answer = post(shared_worker, task="print('before'); raise ValueError('no')", task_id="t")
    body = answer.json()
    assert (answer.status_code, body["status"], body["return_code"]) == (200, "failed", 1)
    assert "ValueError: no" in body["error"]
    assert body["output"] == "before\n"


def test_python_truly_runs_and_its_result_is_the_last_line(shared_worker: Any) -> None:
    body = post(shared_worker, task="print('hi')\nresult = {'a': [1, 2]}", task_id="t").json()
    assert set(body) == {"task_id", "status", "output", "error", "return_code", "executed_at"}
    assert (body["task_id"], body["status"], body["error"], body["return_code"]) == ("t", "completed", None, 0)
    said, result = body["output"].splitlines()
    assert (said, json.loads(result)) == ("hi", {"a": [1, 2]})


def test_a_result_too_large_for_a_frame_is_in_the_output_too(shared_worker: Any) -> None:
    assert len(post(shared_worker, task="result = 'x' * 100_000").json()["output"]) == 100_002


def test_text_that_is_no_unicode_is_refused_or_fails_and_the_worker_lives(shared_worker: Any) -> None:
    headers = {"X-NADG-AUTH": shared_worker.token, "Content-Type": "application/json"}
    for body in (
        rb'{"task": "result = \'\ud800\'"}',
        rb'{"task": {"skill": "text.sentiment", "args": {"a": "\ud800"}}}',
    ):
        answer = httpx.post(shared_worker.url + "/execute", content=body, headers=headers, timeout=60)
        assert answer.status_code == 422 or answer.json()["status"] == "failed"
    assert post(shared_worker, task="result = 1").json()["status"] == "completed"


def test_a_json_text_that_names_no_skill_is_python(shared_worker: Any) -> None:
    assert post(shared_worker, "/execute", task="[1, 2]").json()["status"] == "completed"


def test_status_tells_what_a_person_wants_to_know(shared_worker: Any) -> None:
    status = httpx.get(shared_worker.url + "/status").json()
    assert (status["name"], status["slots"], status["sandbox"]["tier"]) == ("shared", 2, "landlock")
    assert "text.sentiment" in status["skills"]
    assert "NADG worker" in httpx.get(shared_worker.url + "/").json()["what"]


def test_beyond_loopback_without_a_token_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="can be reached from elsewhere"):
        serve(WorkerSettings(name="w", root=str(tmp_path), host="0.0.0.0", port=0))


def test_a_port_that_is_taken_is_a_clear_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(UserError, match="cannot listen on"):
        serve(WorkerSettings(name="w", root=str(tmp_path), port=taken.getsockname()[1], token="t"))


def test_a_token_is_made_for_loopback_and_kept_private(start_worker: Any, tmp_path: Path) -> None:
    worker = start_worker("w", token="")
    path = tmp_path / "w" / "token"
    assert path.stat().st_mode & 0o777 == 0o600
    assert str(path) in (tmp_path / "w.log").read_text()
    assert post(worker, task="result = 1", token="").status_code == 401
    assert post(worker, task="result = 1", token=path.read_text()).json()["status"] == "completed"


@pytest.mark.parametrize("line", [b"", b"{", b"{}", b'{"name": "w"}', b'{"name": "w", "root": "/", "port": "x"}'])
def test_unusable_settings_are_a_clear_sentence(line: bytes) -> None:
    with pytest.raises(UserError, match="settings are not usable"):
        read_settings(line)


def test_settings_cross_the_line_whole() -> None:
    settings = WorkerSettings(name="w", root="/r", token="t", labels=("gpu",), policy=Policy(allow_none=True))
    assert read_settings(settings.line()) == settings
