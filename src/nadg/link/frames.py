"""What crosses a link: msgpack arrays of tagged frames, several frames to a message.

A message that does not decode, names an unknown frame or is too large raises LinkRefused, after which
the link is closed; nothing of such a message is acted upon.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Literal

import msgspec

from nadg.domain.assignment import Assignment
from nadg.domain.errors import LinkRefused
from nadg.domain.outcome import Outcome
from nadg.domain.worker import WorkerInfo

VERSION = 2
"""Raised with every change that an older end would misread."""
MAX_MESSAGE_BYTES = 16 << 20
"""A larger message is refused before it is decoded; large content travels as blobs."""
MAX_FRAME_BYTES = 15 << 20
"""Leaves room in a message for a piece of a blob beside the largest frame."""
CHUNK_BYTES = 256 << 10
"""How much of a blob one frame carries."""


class _Frame(msgspec.Struct, frozen=True, kw_only=True, tag_field="frame", omit_defaults=True):
    pass


class Hello(_Frame, frozen=True, kw_only=True, tag="hello"):
    """The first frame from either end; nothing else is heard before it."""

    version: int = 0
    """An absent version is nobody's version."""
    peer_id: str
    """A master: its identity over reconnects. A worker: drawn anew whenever its process starts."""
    worker: WorkerInfo | None = None
    """Set by a worker."""
    window: int = 0
    """By a worker: how many unfinished attempts it takes from this link at a time."""
    attempts: tuple[str, ...] = ()
    """By a worker: attempts of this master that it holds, waiting, running or finished but not acknowledged."""


class Assign(_Frame, frozen=True, kw_only=True, tag="assign"):
    """Carry this out. Harmless where the worker has the attempt already."""

    assignment: Assignment


class Started(_Frame, frozen=True, kw_only=True, tag="started"):
    """The attempt has a slot and begins to run."""

    attempt_id: str
    at: datetime.datetime


class Output(_Frame, frozen=True, kw_only=True, tag="output"):
    """Live output. May be dropped where the link is slower than the task talks."""

    attempt_id: str
    stream: Literal["stdout", "stderr"]
    text: str


class Finished(_Frame, frozen=True, kw_only=True, tag="finished"):
    """The attempt's end. Sent again on every new link until acknowledged."""

    attempt_id: str
    outcome: Outcome


class Ack(_Frame, frozen=True, kw_only=True, tag="ack"):
    """The master has these ends and their blobs; the worker may forget them."""

    attempt_ids: tuple[str, ...]


class Adopt(_Frame, frozen=True, kw_only=True, tag="adopt"):
    """By a master: it owns the run now, in this term. What the worker holds of the run is this link's from now on.

    Answered by Holding; then, as on a new link, by Finished for every attempt that has ended. A term older
    than one that the worker knows changes nothing, and is answered by an empty Holding.
    """

    run_id: str
    term: int


class Holding(_Frame, frozen=True, kw_only=True, tag="holding"):
    """The attempts of a run that the worker holds for this master: waiting, running or not acknowledged."""

    run_id: str
    term: int
    attempts: tuple[str, ...] = ()
    started: tuple[str, ...] = ()
    """Those of them that began."""


class Cancel(_Frame, frozen=True, kw_only=True, tag="cancel"):
    """Stop an attempt. It still ends in Finished."""

    attempt_id: str


class Refused(_Frame, frozen=True, kw_only=True, tag="refused"):
    """An assignment was not taken.

    `busy`: not now; `cannot`: never on this worker; `deposed`: the run has a newer master than this one.
    """

    attempt_id: str
    why: Literal["busy", "cannot", "deposed"]
    reason: str = ""


class BlobWant(_Frame, frozen=True, kw_only=True, tag="blob_want"):
    """Send a piece of a blob. The side that wants bounds what is under way by how much it asks for."""

    sha256: str
    offset: int
    length: int


class BlobData(_Frame, frozen=True, kw_only=True, tag="blob_data"):
    """The answer to one BlobWant, whole."""

    sha256: str
    offset: int
    data: bytes


class BlobAbsent(_Frame, frozen=True, kw_only=True, tag="blob_absent"):
    """The answer to a BlobWant that cannot be met."""

    sha256: str
    reason: str = ""


class Drain(_Frame, frozen=True, kw_only=True, tag="drain"):
    """A worker takes no new attempts from now on; those it holds are carried to their end."""

    reason: str = ""


class Ping(_Frame, frozen=True, kw_only=True, tag="ping"):
    """Are you there?"""

    number: int


class Pong(_Frame, frozen=True, kw_only=True, tag="pong"):
    """Yes."""

    number: int


class Bye(_Frame, frozen=True, kw_only=True, tag="bye"):
    """The last frame: why this end closes."""

    reason: str


Frame = (
    Hello
    | Assign
    | Started
    | Output
    | Finished
    | Ack
    | Adopt
    | Holding
    | Cancel
    | Refused
    | BlobWant
    | BlobData
    | BlobAbsent
    | Drain
    | Ping
    | Pong
    | Bye
)

_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(list[Frame])


def encode_frame(frame: Frame) -> bytes:
    """One frame, to be joined into a message. Raises LinkRefused where no message could carry it."""
    encoded = _ENCODER.encode(frame)
    if len(encoded) > MAX_FRAME_BYTES:
        raise LinkRefused(
            f"{type(frame).__name__} has {len(encoded)} bytes; a frame has at most {MAX_FRAME_BYTES}"
        )
    return encoded


def join_message(encoded: Sequence[bytes]) -> bytes:
    """A message of frames that are encoded already: a msgpack array with a 32-bit length."""
    return b"".join((b"\xdd", len(encoded).to_bytes(4, "big"), *encoded))


def decode_message(message: bytes) -> list[Frame]:
    """The frames of a message. Raises LinkRefused, with the reason, where it is not wholly valid."""
    if len(message) > MAX_MESSAGE_BYTES:
        raise LinkRefused(f"a message of {len(message)} bytes is larger than {MAX_MESSAGE_BYTES}")
    try:
        return _DECODER.decode(message)
    except (msgspec.MsgspecError, RecursionError, ValueError, OverflowError) as error:
        raise LinkRefused(f"a message does not decode: {error}") from error


def require_hello(frame: Frame, role: Literal["master", "worker"]) -> Hello:
    """The greeting of a peer in that role. Raises LinkRefused where it is another frame or version."""
    if not isinstance(frame, Hello):
        raise LinkRefused(f"the first frame was {type(frame).__name__}, not Hello")
    if frame.version != VERSION:
        raise LinkRefused(f"this end speaks link version {VERSION}, the other {frame.version}; upgrade the older")
    if (frame.worker is not None) != (role == "worker"):
        raise LinkRefused(f"expected a {role} at the other end")
    return frame
