"""The live output of one attempt: decoded as it comes, counted against its limit, its end remembered."""

from __future__ import annotations

import asyncio
import codecs
from collections.abc import Callable
from typing import Final

TAIL_BYTES: Final = 4096
CHUNK_BYTES: Final = 1 << 16

OnOutput = Callable[[str, str], "asyncio.Future[None] | None"]
"""Called with the stream's name and a piece of its text; may say when to read on."""


class Output:
    """stdout and stderr of one attempt; memory stays flat however much the code writes."""

    def __init__(self, limit_bytes: int, on_output: OnOutput) -> None:
        self._room = limit_bytes
        self._on_output = on_output
        self._decoders: dict[str, codecs.IncrementalDecoder] = {}
        self._tails: dict[str, bytes] = {}
        self.is_exceeded = False
        """Whether more was written than the limit allows."""
        self.hold: asyncio.Future[None] | None = None
        """Until this is done nothing more is to be read: whoever is told cannot keep up."""

    def feed(self, stream: str, data: bytes) -> bool:
        """Pass on what was written; False where it was more than the limit, and then only what fits."""
        kept = data[: self._room]
        self._room -= len(kept)
        if kept:
            decoder = self._decoders.get(stream)
            if decoder is None:
                decoder = self._decoders[stream] = codecs.getincrementaldecoder("utf-8")("replace")
            self._tails[stream] = (self._tails.get(stream, b"") + kept)[-TAIL_BYTES:]
            self._pass_on(stream, decoder.decode(kept))
        self.is_exceeded = self.is_exceeded or len(kept) < len(data)
        return not self.is_exceeded

    def close(self) -> None:
        """Pass on what an unfinished character left."""
        for stream, decoder in self._decoders.items():
            self._pass_on(stream, decoder.decode(b"", final=True))

    def _pass_on(self, stream: str, text: str) -> None:
        if text:
            self.hold = self._on_output(stream, text)

    def tail(self, stream: str) -> str:
        """The last 4 KiB, with a cut first character left out."""
        data = self._tails.get(stream, b"")
        if len(data) == TAIL_BYTES:
            cut = next((place for place in range(4) if data[place] & 0xC0 != 0x80), 0)
            data = data[cut:]
        return data.decode("utf-8", "replace")
