"""A client and masters that are not there, go, come back, or are none: over real HTTP, scripted byte by byte."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TypeVar

import pytest

from nadg.client.connection import Lasting, connected
from nadg.client.master import MasterClient
from nadg.domain.errors import BlobRefused, ModelUnavailable, NadgError, NotFound, PlanInvalid, UserError
from nadg.domain.master_api import Submission
from nadg.link.blobfolder import BlobFolder

Result = TypeVar("Result")
OK = '{"status": "ok", "database": {}, "runs": 0, "workers": {}}'
CUT = b""
"""The connection ends without an answer."""
CONTENT = b"0123456789" * 5_000


def http(status: int, body: str | bytes, *, length: int | None = None, headers: str = "") -> bytes:
    data = body.encode() if isinstance(body, str) else body
    size = len(data) if length is None else length
    head = f"HTTP/1.1 {status} Said\r\nContent-Length: {size}\r\nConnection: close\r\n{headers}\r\n"
    return head.encode() + data


class Script:
    """Answers each request with the next of its answers, whatever it is; the last one stays."""

    def __init__(self, *answers: bytes) -> None:
        self._answers = list(answers)
        self.heads: list[str] = []
        self.notices: list[str] = []

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head.decode())
        size = next(
            (int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if b"content-length" in line), 0
        )
        await reader.readexactly(size)
        writer.write(self._answers.pop(0) if len(self._answers) > 1 else self._answers[0])
        writer.close()

    def told(
        self, work: Callable[[MasterClient], Coroutine[None, None, Result]], lasting: Lasting | None = None
    ) -> Result:
        """What comes of it with this master."""

        async def carried_out() -> Result:
            async with await asyncio.start_server(self.answer, "127.0.0.1", 0) as server:
                url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
                async with connected(url, "secret", self.notices.append, lasting) as connection:
                    return await work(MasterClient(connection))

        return asyncio.run(carried_out())


def healthy(times: int) -> Callable[[MasterClient], Coroutine[None, None, str]]:
    async def ask(master: MasterClient) -> str:
        return [await master.health() for _ in range(times)][-1].status

    return ask


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (CUT, " cannot be reached (Server disconnected"),
        (b"HTTP/1.1 200", " cannot be reached ("),
        (http(503, '{"detail": "the master is stopping"}'), " is stopping"),
        (http(503, '{"detail": "the master waits for its database (x)"}'), " waits for its database (x)"),
        (http(503, '{"detail": "database x: is away"}'), " cannot answer now (database x: is away)"),
        (http(502, "<html>a proxy</html>"), " cannot answer now (HTTP 502)"),
        (http(504, ""), " cannot answer now (HTTP 504)"),
        (http(200, '{"status"', length=50), " cannot be reached ("),
    ],
)
def test_trouble_is_waited_for_and_told_once(trouble: bytes, words: str) -> None:
    script = Script(http(200, OK), trouble, trouble, http(200, OK))
    assert script.told(healthy(2)) == "ok"
    first, second = script.notices
    assert re.match(rf"The master at http://\S+{re.escape(words)}.*; waiting. The run is not lost.$", first), first
    assert "answers again" in second
    assert len(script.heads) == 4


def test_what_to_do_about_a_master_that_stays_away_is_told_once_each_time() -> None:
    well = http(200, OK)
    script = Script(well, CUT, CUT, CUT, well, CUT, CUT, well)
    assert script.told(healthy(3), Lasting(advice=lambda: "go there", seconds=0)) == "ok"
    assert [one if one == "go there" else one.split()[-1] for one in script.notices] == [
        "lost.",
        "go there",
        "again.",
    ] * 2
    short = Script(well, CUT, CUT, well)
    assert short.told(healthy(2), Lasting(advice=lambda: "go there")) == "ok"
    assert "go there" not in short.notices


def test_a_master_that_was_never_there_is_not_waited_for() -> None:
    script = Script(CUT)
    with pytest.raises(UserError, match=r"NADG_MASTER_URL: no master answers at .*start one there"):
        script.told(healthy(1))
    assert (script.notices, len(script.heads)) == ([], 1)


def test_one_that_waits_for_its_database_at_first_is_waited_for() -> None:
    script = Script(http(503, '{"detail": "the master is not ready yet"}'), http(200, OK))
    assert script.told(healthy(1)) == "ok"
    assert "not ready yet" in script.notices[0]


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (http(401, '{"detail": "x"}'), UserError, "refused the token; set NADG_MASTER_TOKEN"),
        (http(404, "<html>"), UserError, "is no NADG master"),
        (http(200, "<html>"), UserError, "is no NADG master .*; give the address that `nadg up` prints"),
        (
            http(200, '{"status": "healthy", "name": "a-worker"}'),
            UserError,
            "^NADG_MASTER_URL: .* is no NADG master",
        ),
        (
            http(404, '{"detail": "Not Found"}'),
            UserError,
            "^NADG_MASTER_URL: what answers at .* is no NADG master",
        ),
        (http(302, "", headers="Location: http://127.0.0.1:1/steal\r\n"), UserError, "is no NADG master"),
        (http(404, '{"detail": "no run x"}'), NotFound, "no run x"),
        (http(422, '{"detail": "command: is empty"}'), UserError, "command: is empty"),
        (http(502, '{"detail": "the model is down"}'), ModelUnavailable, "the model is down"),
        (http(500, '{"detail": "inside"}'), NadgError, "inside"),
        (http(507, '{"detail": "no space left"}'), NadgError, "no space left"),
    ],
)
def test_what_a_master_says_no_to_is_raised_as_what_it_means(
    answer: bytes, kind: type[NadgError], words: str
) -> None:
    with pytest.raises(kind, match=words) as raised:
        Script(answer).told(healthy(1))
    assert type(raised.value) is kind


def test_all_problems_of_a_plan_come_back() -> None:
    said = '{"detail": "two", "problems": [{"place": "a", "message": "b"}, {"place": "c", "message": "d"}]}'
    with pytest.raises(PlanInvalid) as raised:
        Script(http(422, said)).told(lambda master: master.submit(Submission(command="x")))
    assert [str(one) for one in raised.value.problems] == ["a: b", "c: d"]


def test_the_token_is_sent_as_the_door_wants_it() -> None:
    script = Script(http(200, OK))
    script.told(healthy(1))
    assert "authorization: bearer secret" in script.heads[0].lower()


def fetched(folder: Path, name: str) -> Callable[[MasterClient], Coroutine[None, None, bytes]]:
    blobs = BlobFolder(folder)

    async def fetch(master: MasterClient) -> bytes:
        await master.health()
        await master.fetch(name, blobs.create)
        return blobs.read(name)

    return fetch


def test_a_file_that_is_cut_off_is_fetched_again(tmp_path: Path) -> None:
    name = hashlib.sha256(CONTENT).hexdigest()
    cut = http(200, CONTENT[:100], length=len(CONTENT))
    script = Script(http(200, OK), cut, CUT, http(200, OK), http(200, CONTENT))
    assert script.told(fetched(tmp_path, name)) == CONTENT
    assert [len(script.notices), len(script.heads)] == [2, 5]
    assert list((tmp_path / "incoming").iterdir()) == []


def test_a_file_that_is_another_is_refused(tmp_path: Path) -> None:
    script = Script(http(200, OK), http(200, CONTENT))
    with pytest.raises(BlobRefused):
        script.told(fetched(tmp_path, "0" * 64))
    assert list((tmp_path / "incoming").iterdir()) == []


def test_a_file_is_sent_only_where_it_is_lacking(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(CONTENT)
    there = Script(http(200, b"", length=len(CONTENT)))
    ref = there.told(lambda master: master.send_file(file))
    assert (ref.size, [head.split()[0] for head in there.heads]) == (len(CONTENT), ["HEAD"])
    lacking = Script(http(404, b""), http(201, "{}"))
    lacking.told(lambda master: master.send_file(file))
    assert [head.split()[0] for head in lacking.heads] == ["HEAD", "PUT"]
    assert f"content-length: {len(CONTENT)}" in lacking.heads[1].lower()
