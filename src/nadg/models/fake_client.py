"""A client that answers from a script, with the promises of the real ones; the same suite of tests runs on all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

import msgspec

from nadg.models.call import ClientReply, ModelCall, RequestFailed, TemporarilyDown, TextSink
from nadg.models.estimate import estimate_input, estimate_tokens

_PIECE_CHARACTERS = 12


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What comes of one request: `text`, and after it perhaps a `failure`, or silence."""

    text: str = ""
    thinking_tokens: int = 0
    failure: RequestFailed | None = None
    hangs: bool = False


FakeScript = Callable[[str, ModelCall], Answer | str]


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A request that came."""

    model: str
    call: ModelCall
    max_output_tokens: int
    streamed: bool


def in_turn(answers: Iterable[Answer | str]) -> FakeScript:
    """One answer after the other, whatever is asked; then it is down."""
    left = iter(tuple(answers))
    end = Answer(failure=TemporarilyDown("the script is at its end"))
    return lambda model, call: next(left, end)


class FakeClient:
    """Cuts an answer off where it is told to, as a model would, and estimates its tokens."""

    def __init__(self, script: FakeScript | Iterable[Answer | str]) -> None:
        self._script = script if callable(script) else in_turn(script)
        self.asked: list[Asked] = []
        self.closed = False

    async def exchange(
        self, model: str, call: ModelCall, max_output_tokens: int, sink: TextSink | None
    ) -> ClientReply:
        asked = Asked(model=model, call=call, max_output_tokens=max_output_tokens, streamed=sink is not None)
        self.asked.append(asked)
        answer = self._script(model, call)
        if isinstance(answer, str):
            answer = Answer(text=answer)
        text, truncated = _cut(answer, max_output_tokens)
        await self._say(text, sink)
        if answer.hangs:
            await asyncio.get_running_loop().create_future()
        if answer.failure is not None:
            raise answer.failure
        return ClientReply(
            text=text,
            input_tokens=estimate_input(call),
            output_tokens=estimate_tokens(text),
            thinking_tokens=answer.thinking_tokens,
            truncated=truncated,
        )

    async def aclose(self) -> None:
        self.closed = True

    @staticmethod
    async def _say(text: str, sink: TextSink | None) -> None:
        for start in range(0, len(text), _PIECE_CHARACTERS):
            if sink is not None:
                sink.text(text[start : start + _PIECE_CHARACTERS])
            await asyncio.sleep(0)


def _cut(answer: Answer, max_output_tokens: int) -> tuple[str, bool]:
    left = max(0, max_output_tokens - answer.thinking_tokens)
    if estimate_tokens(answer.text) <= left:
        return answer.text, False
    text = answer.text
    while estimate_tokens(text) > left:
        text = text[: max(0, len(text) - max(1, estimate_tokens(text) - left))]
    return text, True
