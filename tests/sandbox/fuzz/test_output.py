"""Any bytes in any pieces: the text passed on is that of the whole, up to the limit and no byte further."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nadg.sandbox.output import TAIL_BYTES, Output
from tests.sandbox.fuzz.examples import tried

_bytes = st.one_of(
    st.binary(max_size=60),
    st.text(max_size=30).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.builds(lambda some, times: some * times, st.binary(min_size=1, max_size=9), st.integers(1, 2000)),
)
_pieces = st.lists(st.tuples(st.sampled_from(["stdout", "stderr"]), _bytes), max_size=12)


@given(pieces=_pieces, limit=st.integers(0, 20_000) | st.integers(0, 40))
@tried(150)
def test_the_text_passed_on_is_that_of_the_whole(pieces: list[tuple[str, bytes]], limit: int) -> None:
    passed: dict[str, list[str]] = {"stdout": [], "stderr": []}
    output = Output(limit, lambda stream, text: passed[stream].append(text))
    kept = {"stdout": b"", "stderr": b""}
    room = limit
    for stream, piece in pieces:
        is_enough = len(piece) <= room and not output.is_exceeded
        kept[stream] += piece[:room]
        room -= min(room, len(piece))
        assert output.feed(stream, piece) is is_enough
    output.close()
    assert output.is_exceeded == (sum(len(piece) for _, piece in pieces) > limit)
    for stream, data in kept.items():
        assert "".join(passed[stream]) == data.decode("utf-8", "replace")
        assert "" not in passed[stream]
        _require_tail(output.tail(stream), data)


def _require_tail(tail: str, data: bytes) -> None:
    """The end of the whole text, less at most the character that the cut goes through."""
    if len(data) < TAIL_BYTES:
        assert tail == data.decode("utf-8", "replace")
        return
    ends = [data[-TAIL_BYTES:][cut:].decode("utf-8", "replace") for cut in range(4)]
    assert tail in ends
    if data == data.decode("utf-8", "replace").encode():
        assert data.decode().endswith(tail)
        assert len(tail.encode()) > TAIL_BYTES - 4
