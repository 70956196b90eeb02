from __future__ import annotations

import datetime

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nadg.domain.assignment import Assignment, Code, Files, Items, Job, Merge, Part, Piece, Rows, SkillCall, Whole
from nadg.domain.blob import BlobRef, FileRef, Value
from nadg.domain.errors import LinkRefused
from nadg.domain.outcome import Outcome, Receipt
from nadg.domain.tier import Tier
from nadg.domain.worker import WorkerInfo
from nadg.link import frames
from nadg.link.frames import decode_message, encode_frame, join_message, require_hello

AT = datetime.datetime(2024, 5, 1, tzinfo=datetime.UTC)
FILE = FileRef(name="a.csv", blob=BlobRef(sha256="0" * 64, size=3))
RECEIPT = Receipt(
    worker="w", sandbox_tier=Tier.LANDLOCK, code_sha256="c", input_sha256s={}, started_at=AT, finished_at=AT
)
PIECES: list[Piece] = [
    Whole(),
    Items(first=0, count=1, values=Value(inline=b"[1]")),
    Files(first=0, files=(FILE,)),
    Rows(file=FILE, first=0, count=1, start=4, stop=8, header_stop=4),
    Merge(parts=(Part(result=Value(inline=b"1"), files=(FILE,)),)),
]
JOBS: list[Job] = [
    Code(code="result = 1"),
    SkillCall(skill="text.sentiment", args={"column": "text", "depth": [1, {"a": None}]}),
]
ALL_FRAMES: list[frames.Frame] = [
    frames.Hello(version=1, peer_id="m", worker=WorkerInfo(name="w", slots=1, tier=Tier.NONE), attempts=("a",)),
    *(
        frames.Assign(assignment=Assignment(attempt_id="r/s/0/1", job=job, piece=piece))
        for job in JOBS
        for piece in PIECES
    ),
    frames.Started(attempt_id="a", at=AT),
    frames.Output(attempt_id="a", stream="stderr", text="ünïcödé \x00"),
    frames.Finished(attempt_id="a", outcome=Outcome(kind="succeeded", receipt=RECEIPT, artifacts=(FILE,))),
    frames.Ack(attempt_ids=("a", "b")),
    frames.Adopt(run_id="r", term=2),
    frames.Holding(run_id="r", term=2, attempts=("a", "b"), started=("a",)),
    frames.Cancel(attempt_id="a"),
    frames.Refused(attempt_id="a", why="cannot", reason="no"),
    frames.BlobWant(sha256="0" * 64, offset=0, length=1),
    frames.BlobData(sha256="0" * 64, offset=0, data=b"\xff"),
    frames.BlobAbsent(sha256="0" * 64, reason="gone"),
    frames.Drain(),
    frames.Ping(number=1),
    frames.Pong(number=1),
    frames.Bye(reason="done"),
]
WHOLE_MESSAGE = join_message([encode_frame(frame) for frame in ALL_FRAMES])


@given(st.binary(max_size=400))
@example(b"\xdd\xff\xff\xff\xff")
@example(b"\x91" * 100_000)
@example(b"\xc6\xff\xff\xff\xff")
@example(msgspec.msgpack.encode([{"frame": "launch_missiles"}]))
@example(msgspec.msgpack.encode([{"frame": "ping", "number": "one"}]))
@example(msgspec.msgpack.encode([{"frame": "ping", "number": 2**70 % 2**64}]))
@example(msgspec.msgpack.encode({"frame": "ping", "number": 1}))
@example(msgspec.msgpack.encode([{"frame": "output", "attempt_id": "a", "stream": "stdin", "text": ""}]))
def test_any_bytes_decode_or_are_refused(message: bytes) -> None:
    try:
        decode_message(message)
    except LinkRefused:
        return


@given(st.data())
def test_a_damaged_message_decodes_or_is_refused(data: st.DataObject) -> None:
    damaged = bytearray(WHOLE_MESSAGE)
    for _ in range(data.draw(st.integers(1, 8))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(damaged)))
    try:
        decode_message(bytes(damaged[:cut]))
    except LinkRefused:
        return


def test_a_deep_argument_is_refused_not_crashed_on() -> None:
    deep = b"\x81\xa1a" * 50_000 + b"\xc0"
    job = b"\x83\xa4kind\xa5skill\xa5skill\xa1s\xa4args" + deep
    assign = (
        b"\x82\xa5frame\xa6assign\xaaassignment\x83\xaaattempt_id\xa1a\xa5piece\x81\xa4kind\xa5whole\xa3job" + job
    )
    with pytest.raises(LinkRefused):
        decode_message(b"\x91" + assign)


def test_an_oversize_message_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(LinkRefused, match="larger"):
        decode_message(bytes(frames.MAX_MESSAGE_BYTES + 1))


def test_an_oversize_frame_cannot_be_made() -> None:
    with pytest.raises(LinkRefused, match="Output"):
        encode_frame(frames.Output(attempt_id="a", stream="stdout", text="x" * frames.MAX_MESSAGE_BYTES))


@pytest.mark.parametrize(
    ("frame", "why"),
    [
        (frames.Ping(number=1), "not Hello"),
        (frames.Hello(peer_id="m"), f"version {frames.VERSION}, the other 0"),
        (frames.Hello(peer_id="m", version=99), "upgrade the older"),
        (frames.Hello(peer_id="m", version=frames.VERSION), "expected a worker"),
    ],
)
def test_a_greeting_that_does_not_fit_is_refused(frame: frames.Frame, why: str) -> None:
    with pytest.raises(LinkRefused, match=why):
        require_hello(frame, "worker")


def test_every_frame_comes_back_as_it_went() -> None:
    assert decode_message(WHOLE_MESSAGE) == ALL_FRAMES
