"""The bodies of the API's replies: whole ones, stream chunks and blocked prompts, with their usage."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from tests.support.gemini.answers import (
    CHARACTERS_PER_TOKEN,
    BreakOff,
    DropConnection,
    Fail,
    Hang,
    Say,
    Truncate,
    tokens_in,
)
from tests.support.gemini.errors import Json
from tests.support.gemini.requests import Request


class Speech(msgspec.Struct, frozen=True, kw_only=True):
    """Text on its way out: how it is cut, paced and finished, and what ends it before its time."""

    text: str
    chunk: int
    finish: str | None
    thoughts: int = 0
    tokens_per_second: float | None = None
    broken_by: Fail | DropConnection | Hang | None = None


def speech_of(answer: Say | Truncate | BreakOff | DropConnection | Hang, request: Request) -> Speech:
    """The answer as it goes out, cut to the request's `maxOutputTokens`."""
    match answer:
        case Say():
            text, finish = _cut(answer, request.max_output_tokens)
            return Speech(
                text=text,
                chunk=answer.chunk,
                finish=finish,
                thoughts=answer.thoughts,
                tokens_per_second=answer.tokens_per_second,
            )
        case Truncate(text=text, at=at, chunk=chunk, tokens_per_second=pace):
            return Speech(text=text[:at], chunk=chunk, finish="MAX_TOKENS", tokens_per_second=pace)
        case BreakOff(text=text, after=after, chunk=chunk):
            fail = Fail(answer.status, message=answer.message)
            pace = answer.tokens_per_second
            return Speech(text=text[:after], chunk=chunk, finish=None, tokens_per_second=pace, broken_by=fail)
        case DropConnection(text=text, after=after, chunk=chunk):
            return Speech(text=text[:after], chunk=chunk, finish=None, broken_by=answer)
        case Hang(text=text, chunk=chunk):
            return Speech(text=text, chunk=chunk, finish=None, broken_by=answer)


def _cut(answer: Say, max_output_tokens: int | None) -> tuple[str, str]:
    if max_output_tokens is None or answer.thoughts + tokens_in(answer.text) <= max_output_tokens:
        return answer.text, answer.finish
    left = max(0, max_output_tokens - answer.thoughts)
    return answer.text[: left * CHARACTERS_PER_TOKEN], "MAX_TOKENS"


def chunks_of(speech: Speech) -> Iterator[tuple[str, str, str | None]]:
    """Each chunk, the whole text up to and with it, and the finish reason at the last one.

    A speech that is broken off has only full chunks without a finish, and perhaps none at all.
    """
    ends = range(speech.chunk, len(speech.text) + speech.chunk, speech.chunk)
    pieces = [(speech.text[end - speech.chunk : end], speech.text[:end]) for end in ends]
    if not pieces and speech.finish is not None:
        pieces = [("", "")]
    for index, (piece, so_far) in enumerate(pieces):
        yield piece, so_far, speech.finish if index == len(pieces) - 1 else None


def reply_body(request: Request, piece: str, usage: Json, finish: str | None, model_version: str) -> Json:
    """One candidate with `piece`; the same shape serves a whole reply and a chunk of a stream."""
    content: Json = {"parts": [{"text": piece}], "role": "model"} if piece else {"role": "model"}
    candidate: Json = {"content": content, "index": 0}
    if finish is not None:
        candidate["finishReason"] = finish
    return {"candidates": [candidate], **_frame(request, usage, model_version)}


def blocked_body(request: Request, reason: str, model_version: str) -> Json:
    """No candidates, and why."""
    return {"promptFeedback": {"blockReason": reason}, **_frame(request, usage_of(request, ""), model_version)}


def _frame(request: Request, usage: Json, model_version: str) -> Json:
    return {"usageMetadata": usage, "modelVersion": model_version, "responseId": f"imitation-{request.number}"}


def usage_of(request: Request, text: str, thoughts: int = 0) -> Json:
    """Tokens so far. In a stream each chunk carries the sums up to it, so they must not be added up."""
    prompt = tokens_in(request.system) + sum(tokens_in(text) for _, text in request.contents)
    answered = tokens_in(text)
    usage: Json = {"promptTokenCount": prompt, "totalTokenCount": prompt + answered + thoughts}
    if answered:
        usage["candidatesTokenCount"] = answered
    if thoughts:
        usage["thoughtsTokenCount"] = thoughts
    return usage
