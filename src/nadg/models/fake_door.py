"""A door to models that answers by a script: for tests of everything that asks models."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from nadg.domain.model_calls import ModelUsage
from nadg.models.call import Account, ModelCall, Reply, TextSink

FAKE_MODEL = "fake:script"
Scripted = str | Reply | tuple[str, ...] | Exception | Callable[[ModelCall], str]
"""One answer: its text, or what gives it for a call, or the whole reply; of several texts all but the last break
off and the answer begins anew; an exception is raised."""
_CHARACTERS_PER_TOKEN = 4


class FakeDoor:
    """A Door. Gives the answers of its script one after the other and keeps every call in `calls`."""

    def __init__(
        self, script: Iterable[Scripted], *, piece: int = 7, models: Iterable[str] = (FAKE_MODEL,)
    ) -> None:
        """Answers are streamed in pieces of `piece` characters; `models` are those that it serves."""
        self._script = list(script)
        self._piece = piece
        self._models = frozenset(models)
        self.calls: list[ModelCall] = []
        self.rejected: list[str] = []

    @property
    def remaining(self) -> int:
        """Answers that nobody has asked for yet."""
        return len(self._script)

    async def ask(self, call: ModelCall, account: Account, sink: TextSink | None = None) -> Reply:
        """The next answer, streamed in pieces. Raises what the script says; AssertionError after its end."""
        self.calls.append(call)
        if not self._script:
            raise AssertionError(f"the script has no answer left for call {len(self.calls)}")
        scripted = self._script.pop(0)
        if isinstance(scripted, Exception):
            raise scripted
        if isinstance(scripted, Reply):
            await self._stream(scripted.text, sink)
            return scripted
        if callable(scripted):
            scripted = scripted(call)
        *broken_off, text = (scripted,) if isinstance(scripted, str) else scripted
        for part in broken_off:
            await self._stream(part, sink)
            if sink is not None:
                sink.restart()
        await self._stream(text, sink)
        asked = len(call.instructions) + sum(len(turn.text) for turn in call.turns)
        usage = ModelUsage(
            models=(FAKE_MODEL,),
            answers=1,
            requests=1,
            input_tokens=asked // _CHARACTERS_PER_TOKEN,
            output_tokens=len(text) // _CHARACTERS_PER_TOKEN,
        )
        return Reply(text=text, model=FAKE_MODEL, usage=usage)

    async def _stream(self, text: str, sink: TextSink | None) -> None:
        if sink is None:
            return
        for start in range(0, len(text), self._piece):
            sink.text(text[start : start + self._piece])
            await asyncio.sleep(0)

    async def reject(self, reply: Reply) -> None:
        """Kept in `rejected`."""
        self.rejected.append(reply.text)

    def serves(self, model: str) -> bool:
        return model in self._models
