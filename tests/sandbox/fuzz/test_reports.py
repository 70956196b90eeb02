"""The job memory as hostile code leaves it: read as data, in bounded time, never taken for a success wrongly."""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nadg.domain.limits import Limits
from nadg.sandbox import protocol
from nadg.sandbox.attempt import RunningAttempt
from nadg.sandbox.ending import Reading, read_ending, result_problem
from nadg.sandbox.job import LENGTHS, REPORT_OVERHEAD_BYTES, Report
from nadg.sandbox.lane import Lane
from nadg.sandbox.process import Exit, TaskProcess
from nadg.sandbox.result import MAX_DEPTH
from tests.sandbox.fuzz.examples import tried

LIMITS = Limits(result_bytes=4096)
SIZE = LENGTHS.size + LIMITS.result_bytes + REPORT_OVERHEAD_BYTES
Read = Callable[[bytes, int], Reading]

_texts = st.text(max_size=20)
_json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_texts, inner, max_size=4),
)
_spoiled = st.builds(
    lambda text, at, put: text[:at] + put + text[at:],
    _json_values.map(lambda value: json.dumps(value).encode()),
    st.integers(0, 60),
    st.binary(max_size=3)
    | st.sampled_from([b'"', b"\\", b"[", b"]", b",", b"9" * 4301, b"\x00", b"\xed\xa0\x80"]),
)
_results = st.one_of(
    st.binary(max_size=40),
    _json_values.map(lambda value: json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")),
    _spoiled,
    st.builds(bytes.__mul__, st.sampled_from([b"[", b'"\\', b'\\"', b'{"":', b"9"]), st.integers(1, 1000)),
    st.builds(lambda deep: b"[" * deep + b"]" * deep, st.integers(MAX_DEPTH - 2, MAX_DEPTH + 2)),
)  # fmt: skip
_reports = st.builds(
    Report, kind=st.just("succeeded") | _texts, reason=_texts, detail=_texts,
    notes=st.lists(_texts, max_size=3).map(tuple), per_item=st.booleans(), has_result=st.booleans(),
).map(msgspec.msgpack.encode)  # fmt: skip
_heads = st.one_of(
    _reports,
    _reports,
    st.binary(max_size=60),
    st.builds(
        lambda head, tail: b"\x97" + head[1:] + tail, _reports, st.sampled_from([b"\x91" * 90_000, b"\xc0"])
    ),
    st.sampled_from([b"\x94\xa1a\xa1b\xa1c\xdd\x00\x03\x00\x00" + b"\xa0" * 200_000, b"\xdb\xff\xff\xff\xff"]),
)
_lengths = (
    st.none()
    | st.tuples(st.integers(0, SIZE + 20), st.integers(0, SIZE + 20))
    | st.tuples(st.integers(0, (1 << 64) - 1), st.integers(0, (1 << 64) - 1))
)


@pytest.fixture(scope="module")
def read(short_folder: Path) -> Iterator[Read]:
    """Reads a memory with this content for an attempt whose process ended well with some status."""
    with asyncio.Runner() as runner:
        attempt, lane = runner.run(_ended_attempt(short_folder))
        fd = os.memfd_create("report")
        os.ftruncate(fd, SIZE)

        def read_with(content: bytes, status: int) -> Reading:
            os.ftruncate(fd, 0)
            os.ftruncate(fd, SIZE)
            os.pwrite(fd, content[:SIZE], 0)
            attempt.process.exit = Exit(status << 8, 0.0, 0)
            return read_ending(attempt, fd, SIZE)

        yield read_with
        os.close(fd)
        runner.run(_close(attempt, lane))


async def _ended_attempt(folder: Path) -> tuple[RunningAttempt, Lane]:
    lane = Lane(Path(tempfile.mkdtemp(dir=folder)) / "lane", None)
    process = TaskProcess(lane)
    process.said = protocol.SET_UP
    process.exited(Exit(0, 0.0, 0))
    return RunningAttempt(LIMITS, process), lane


async def _close(attempt: RunningAttempt, lane: Lane) -> None:
    attempt.process.close()
    lane.close()


@given(lengths=_lengths, head=_heads, result=_results, status=st.sampled_from([0, 0, 1, 117]))
@example(
    lengths=None, head=msgspec.msgpack.encode(Report(kind="succeeded", has_result=True)), result=b"7", status=0
)
@example(lengths=None, head=b"\x97\xa1a\xa0\xa0\x90\xc2\xc2" + b"\x91" * 90_000, result=b"", status=0)
@tried(150)
def test_a_report_of_any_bytes_is_judged(
    read: Read, lengths: tuple[int, int] | None, head: bytes, result: bytes, status: int
) -> None:
    lengths = lengths or (len(head) + len(result), len(head))
    reading = read(LENGTHS.pack(*lengths) + head + result, status)
    assert reading.exit_code == status
    assert reading.kind in ("succeeded", "failed", "limit")
    assert "\n" not in reading.reason
    assert len(reading.reason) <= 1000
    assert len(reading.notes) <= 20
    if reading.kind == "succeeded":
        assert reading.result is not None
        assert len(reading.result) <= LIMITS.result_bytes
        if not result_problem(reading.result):
            _require_json(reading.result)


@given(data=_results)
@example(data=b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)
@tried(200)
def test_what_passes_for_a_result_is_json(data: bytes) -> None:
    if not result_problem(data):
        _require_json(data)


@given(value=_json_values)
@tried(50)
def test_what_is_json_passes(value: object) -> None:
    """NaN and lone surrogates apart, which Python's own writer lets through."""
    try:
        data = json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except ValueError:
        return
    assert result_problem(data) == ""


def _require_json(data: bytes) -> None:
    depth, value = 0, json.loads(data)
    level = [value]
    while level:
        inner = [one for one in level if isinstance(one, list | dict)]
        depth += bool(inner)
        level = [item for one in inner for item in (one.values() if isinstance(one, dict) else one)]
    assert depth <= MAX_DEPTH


@pytest.mark.parametrize(
    "data",
    [b'["' + b'\\"' * 500_000, b'"' * 1_000_001, b'"\\' * 500_000, b'[{"' * 300_000, b"[" * 1_000_000],
    ids=["escaped quotes", "quotes", "escapes", "keys", "brackets"],
)
def test_a_large_thing_that_is_not_json_takes_no_time(data: bytes) -> None:
    """Time that grows with the square of the size would be hours."""
    assert result_problem(data)


def test_a_large_text_takes_no_memory_to_look_at() -> None:
    data = b'["' + b"9" * 1_000_000 + b'"]'
    tracemalloc.start()
    try:
        assert result_problem(data) == ""
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 8 * len(data)
