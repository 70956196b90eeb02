"""Who gets in: nobody without the token, and no web page at all."""

from __future__ import annotations

import http.client
import socket
import stat

import pytest

from tests.support.master_process import MasterProcess

PLAN = b'{"plan": {"subtasks": [{"id": "a", "work": {"kind": "python", "code": "result = 1"}}]}}'
PROTECTED = [
    ("GET", "/v1/runs"),
    ("GET", "/v1/runs/abc"),
    ("GET", "/v1/runs/abc/events"),
    ("GET", "/v1/workers"),
    ("GET", "/v1/blobs/" + "0" * 64),
    ("POST", "/v1/runs"),
    ("POST", "/v1/runs/abc/cancel"),
    ("PUT", "/v1/blobs/" + "0" * 64),
    ("GET", "/openapi.json"),
    ("POST", "/health"),
    ("GET", "/nothing"),
]


def runs_of(master: MasterProcess) -> int:
    return len(master.ask("GET", "/v1/runs?limit=1000").document)


@pytest.mark.parametrize(("method", "path"), PROTECTED)
@pytest.mark.parametrize("token", ["", "wrong"])
def test_everything_but_health_wants_the_token(master: MasterProcess, method: str, path: str, token: str) -> None:
    answer = master.ask(method, path, token=token, content_type="application/json")
    assert answer.status == 401, answer.body
    assert "Authorization: Bearer" in answer.detail
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null", "Content-Type": "application/json"}, 403),
        ({"Host": "evil.example"}, 403),
        ({"Host": "127.0.0.1.evil.example:8400"}, 403),
        ({"Host": ""}, 403),
    ],
)
def test_a_web_page_starts_nothing(master: MasterProcess, headers: dict[str, str], status: int) -> None:
    """As a page in the user's browser, or a foreign name that was pointed at 127.0.0.1, could send it."""
    before = runs_of(master)
    connection = http.client.HTTPConnection("127.0.0.1", master.port)
    connection.putrequest("POST", "/v1/runs", skip_host="Host" in headers)
    for name, value in ({"Content-Type": "text/plain", "Content-Length": str(len(PLAN))} | headers).items():
        connection.putheader(name, value)
    connection.endheaders(PLAN)
    answer = connection.getresponse()
    assert (answer.status, "access-control-allow-origin" in answer.headers) == (status, False), answer.read()
    connection.close()
    assert runs_of(master) == before


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "", "json"]
)
def test_only_json_and_bytes_are_read(master: MasterProcess, kind: str) -> None:
    answer = master.ask("POST", "/v1/runs", PLAN, content_type=kind)
    assert (answer.status, "application/json" in answer.detail) == (415, True)
    answer = master.ask("PUT", "/v1/blobs/" + "0" * 64, b"x", content_type=kind)
    assert (answer.status, "application/octet-stream" in answer.detail) == (415, True)


def test_the_token_is_read_by_its_owner_alone(master: MasterProcess) -> None:
    assert stat.S_IMODE((master.home / "master.token").stat().st_mode) == 0o600
    assert len(master.token) >= 32


def test_health_wants_no_token_and_tells_nothing_of_runs(master: MasterProcess) -> None:
    answer = master.ask("GET", "/health", token="")
    assert answer.status == 200
    assert answer.document["status"] == "ok"
    assert answer.document["database"]["reachable"] is True
    assert answer.document["workers"] == {"ready": 1}
    assert master.ask("GET", "/health", token="", host="evil.example").status == 403


def test_preflights_are_not_answered(master: MasterProcess) -> None:
    answer = master.ask("OPTIONS", "/v1/runs", token="", access_control_request_method="POST")
    assert answer.status == 401


def test_a_body_past_the_bound_is_refused_before_it_is_read(master: MasterProcess) -> None:
    answer = master.ask("POST", "/v1/runs", content_type="application/json", content_length=str(1 << 40))
    assert (answer.status, "PUT /v1/blobs" in answer.detail) == (413, True)
    answer = master.ask(
        "PUT", "/v1/blobs/" + "0" * 64, content_type="application/octet-stream", content_length=str(1 << 40)
    )
    assert answer.status == 413


def test_what_is_no_http_is_refused_and_nothing_is_said_of_it(master: MasterProcess) -> None:
    """That the master stays silent is looked at when it has ended."""
    with socket.create_connection(("127.0.0.1", master.port), timeout=20) as junk:
        junk.sendall(b"\x16\x03\x01\x00\xa5 no HTTP at all\r\n\r\n")
        assert junk.recv(1000).startswith(b"HTTP/1.1 400")
