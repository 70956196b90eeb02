"""What a Gemini that fails by chance puts on the bill of each run: the provider's truth, apart from our books."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Callable

from nadg.models.prices import cost
from tests.models.driven_runs import Bill
from tests.support.gemini import (
    Answer,
    BlockPrompt,
    BreakOff,
    DropConnection,
    Fail,
    Hang,
    RateLimit,
    Request,
    Say,
    Truncate,
)
from tests.support.gemini.answers import CHARACTERS_PER_TOKEN
from tests.support.gemini.bodies import speech_of, usage_of

WORDS = "so it goes on "
CHUNK = 160


class BillingGemini:
    """A script for the imitation. The first word of what is asked names the run.

    `on_request` is told each run that asks; where it says that the power was cut over it, that request is
    never answered, but written to its end and billed like any other.
    """

    def __init__(self) -> None:
        self.on_request: Callable[[str], bool] = lambda _: False
        self.bills: defaultdict[str, list[Bill]] = defaultdict(list)
        self.kinds: Counter[str] = Counter()
        self._asked: Counter[str] = Counter()

    def answer(self, request: Request) -> Answer:
        """By chance, but the same for the same text asked for the same time."""
        run = request.text.partition(" ")[0]
        self._asked[request.text] += 1
        chance = random.Random(f"{request.text} {self._asked[request.text]}")
        answer = Hang(_text(chance.randint(0, 40))) if self.on_request(run) else _answer(chance, _most(request))
        written = _written(answer, request)
        self.kinds[type(answer).__name__] += 1
        if written is not None:
            self.bills[run].append(_bill(request, written))
        return answer


def _answer(chance: random.Random, most: int) -> Answer:
    luck, length = chance.random(), chance.randint(1, most)
    text, after = _text(length), chance.randint(0, length * CHARACTERS_PER_TOKEN)
    if luck < 0.05:
        return RateLimit(retry_seconds=chance.choice([None, 2.0, 20.0]), detailed=chance.random() < 0.5)
    if luck < 0.1:
        return Fail(503, message="overloaded")
    if luck < 0.2:
        return BreakOff(text, after=after, chunk=CHUNK)
    if luck < 0.3:
        return DropConnection(text, after=after, chunk=CHUNK)
    if luck < 0.34:
        return BlockPrompt()
    if luck < 0.44:
        return Truncate(text, at=after, chunk=CHUNK)
    if luck < 0.6:
        return Say(_text(2 * most), chunk=CHUNK)
    return Say(text, chunk=CHUNK, thoughts=chance.choice([0, most - length]))


def _text(tokens: int) -> str:
    characters = tokens * CHARACTERS_PER_TOKEN
    return (WORDS * (characters // len(WORDS) + 1))[:characters]


def _most(request: Request) -> int:
    assert request.max_output_tokens is not None
    return request.max_output_tokens


def _written(answer: Answer, request: Request) -> int | None:
    """Tokens of the answer, thinking included; None where the provider charges nothing at all."""
    match answer:
        case Fail() | RateLimit():
            return None
        case BreakOff() if not request.stream:
            return None  # a plain 503
        case BlockPrompt():
            return 0
        case Hang():
            return _most(request)
        case _:
            speech = speech_of(answer, request)
            usage = usage_of(request, speech.text, speech.thoughts)
            return _count(usage, "totalTokenCount") - _count(usage, "promptTokenCount")


def _bill(request: Request, written: int) -> Bill:
    read = _count(usage_of(request, ""), "promptTokenCount")
    usd = cost(f"google:{request.model}", input_tokens=read, output_tokens=written)
    assert usd is not None
    return Bill(tokens=read + written, usd=usd)


def _count(usage: dict[str, object], name: str) -> int:
    number = usage[name]
    assert isinstance(number, int)
    return number
