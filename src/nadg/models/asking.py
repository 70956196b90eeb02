"""One question to one model: waits for leave, charges, sends, settles, and tries again what may work."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Mapping
from typing import NoReturn

import msgspec

from nadg.domain.clock import Clock
from nadg.domain.errors import WAYS_OUT, AnswerUnfit, ContentBlocked, ModelError
from nadg.domain.model_calls import MAX_OUTPUT_TOKENS, ModelUsage
from nadg.domain.model_names import parse_model
from nadg.models.breaker import Breaker, Gone
from nadg.models.call import (
    Account,
    ClientReply,
    Granted,
    ModelCall,
    ModelClient,
    RateLimited,
    Reply,
    RequestBlocked,
    RequestFailed,
    RequestRefused,
    TemporarilyDown,
    TextSink,
    Wanted,
)
from nadg.models.configuration import ModelSettings
from nadg.models.estimate import estimate_input
from nadg.models.governor import Governor
from nadg.models.prices import PriceList
from nadg.models.sentences import model_error
from nadg.models.settling import Bill, unbroken
from nadg.models.telling import Telling

TRIES = 3
"""For each model, of what may work the next time."""
BACKOFF_SECONDS = 1.0
"""Before the second try; twice as long before each further one."""
JITTER = 0.25


class Means(msgspec.Struct, frozen=True, kw_only=True):
    """What every question is asked with."""

    settings: ModelSettings
    clients: Mapping[str, ModelClient]
    governor: Governor
    breaker: Breaker
    clock: Clock
    sleep: Callable[[float], Awaitable[None]]
    random: Callable[[], float]
    telling: Telling
    prices: PriceList


class Asking:
    """The state of one question; `spent` adds up what all its requests took."""

    def __init__(self, means: Means, call: ModelCall, account: Account, sink: TextSink | None) -> None:
        self.account = account
        self.complete = False
        """Whether the answer was not cut off."""
        self.last = ModelUsage()
        """What the request took that was answered."""
        self._means, self._call = means, call
        self._sink = None if sink is None else Restartable(sink)
        self._spent = ModelUsage()
        self._input_tokens = estimate_input(call)

    async def ask(self, model: str) -> Reply:
        """The answer of this model. Raises DayClosed, Gone, ContentBlocked, AnswerUnfit, BudgetSpent."""
        async with self._means.breaker.passing(model):
            return await self._ask(model)

    async def _ask(self, model: str) -> Reply:
        tries, longest, began = 0, self._call.max_output_tokens, self._means.clock.monotonic()
        while True:
            try:
                answer, granted = await self._once(model, longest)
            except RateLimited:
                continue  # never a failure: the governor knows of it, and lets it go again in time
            except TemporarilyDown as error:
                tries += 1
                if tries == TRIES:
                    raise self._down(model, error, began) from error
                await self._means.sleep(self._pause(tries))
            except (RequestBlocked, RequestRefused) as error:
                self._give_up(model, error)
            else:
                if self._fit(answer):
                    cut_off = "" if self.complete else self._cut_off(model, granted, longest)
                    return Reply(text=answer.text, model=model, usage=self._spent, cut_off=cut_off)
                asked_again = longest > self._call.max_output_tokens
                if asked_again or granted.shortened_by or longest >= MAX_OUTPUT_TOKENS:
                    raise AnswerUnfit(self._cut_off(model, granted, longest))
                longest = min(2 * longest, MAX_OUTPUT_TOKENS)

    def _down(self, model: str, error: TemporarilyDown, since: float) -> Gone:
        gone = Gone(self._error(model, error, TRIES))
        if error.for_all:
            self._means.breaker.down(model, gone, since)
        return gone

    def _give_up(self, model: str, error: RequestBlocked | RequestRefused) -> NoReturn:
        failure = self._error(model, error)
        if isinstance(failure, ContentBlocked):
            raise failure from error
        about_key = isinstance(error, RequestRefused) and error.about == "key"
        gone = Gone(failure, frozenset({parse_model(model).provider} if about_key else ()))
        gone.unknown = isinstance(error, RequestRefused) and error.about == "model"
        self._means.breaker.refused(gone)
        raise gone from error

    def _error(self, model: str, failure: RequestFailed, tries: int = 1) -> ModelError:
        return model_error(model, failure, self._means.settings, tries)

    def _pause(self, tries: int) -> float:
        spread = 1 + JITTER * (2 * self._means.random() - 1)
        return float(BACKOFF_SECONDS * 2 ** (tries - 1) * spread)

    def _fit(self, answer: ClientReply) -> bool:
        """A plain text that was cut off is an answer all the same; half a JSON document is none."""
        self.complete = not answer.truncated
        return self.complete or (self._call.output_schema is None and bool(answer.text.strip()))

    def _cut_off(self, model: str, granted: Granted, longest: int) -> str:
        if granted.shortened_by:
            why = f"the budget leaves no more; raise it with {granted.shortened_by}"
        elif self._call.purpose == "plan":
            why = f"ask for less at a time, or {WAYS_OUT}"
        elif self._call.purpose == "prompt":
            why = "give it more with max_output_tokens"
            if longest >= MAX_OUTPUT_TOKENS:
                why = "no answer may be longer; ask for less at a time"
        else:
            why = "name a model that says it shorter (--model)"
        return f"the answer of {model} was cut off at {granted.max_output_tokens:,} tokens; {why}"

    async def _once(self, model: str, longest: int) -> tuple[ClientReply, Granted]:
        """One request, from leave to settling; the answer and how long it was allowed to be."""
        means = self._means
        admission = await means.governor.admit(
            model,
            self.account.run_id,
            self._input_tokens,
            lambda seconds: means.telling.wait(self.account, model, seconds),
        )
        used = 0
        try:
            means.breaker.check(model)  # it may have become known while this one waited
            granted = await self.account.charge(self._wanted(model, longest))
            used = self._input_tokens
            answer = await self._exchange(model, granted)
            used = answer.input_tokens + answer.output_tokens + answer.thinking_tokens
            return answer, granted
        except RateLimited:
            used = 0
            raise
        finally:
            admission.settle(used)

    def _wanted(self, model: str, longest: int) -> Wanted:
        price = self._means.prices.price_of(model)
        return Wanted(
            purpose=self._call.purpose,
            model=model,
            subtask_id=self._call.subtask_id,
            input_tokens=self._input_tokens,
            max_output_tokens=longest,
            input_usd_per_token=None if price is None else price.input_usd_per_token,
            output_usd_per_token=None if price is None else price.output_usd_per_token,
        )

    async def _exchange(self, model: str, granted: Granted) -> ClientReply:
        """Send it, and put what it took in place of what was charged, whatever comes of it."""
        name = parse_model(model)
        bill = Bill(self._means.prices, self._means.clock, self.account, model, self._input_tokens, granted)
        try:
            client = self._means.clients[name.provider]
            if self._sink is not None:  # the model is up as soon as it writes: nobody need wait for the end
                self._sink.on_begin = functools.partial(self._means.breaker.up, model)
            answer = await client.exchange(name.name, self._call, granted.max_output_tokens, self._sink)
        except RequestFailed as error:
            if not isinstance(error, TemporarilyDown):
                self._means.breaker.up(model)
            if isinstance(error, RateLimited):
                self._means.governor.refused(model, error)  # before anything is awaited: nobody may go meanwhile
            await self._note(bill.failed(error), restart=True)
            raise
        except BaseException as error:
            # Cancelled, or a fault of ours: nobody will learn what it cost, so what was set aside stays.
            await self._note(bill.given_up(error))
            raise
        self._means.breaker.up(model)
        fit = self._fit(answer)
        self.last = await self._note(bill.answered(answer, fit=fit), restart=not fit)
        return answer

    async def _note(self, settling: Awaitable[ModelUsage], *, restart: bool = False) -> ModelUsage:
        usage = await unbroken(settling)
        self._spent = self._spent.plus(usage)
        if restart and self._sink is not None:
            self._sink.restart()
        return usage


class Restartable:
    """Passes an answer on, and says that it begins anew only if any of it had come."""

    def __init__(self, sink: TextSink) -> None:
        self._sink = sink
        self._begun = False
        self.on_begin: Callable[[], None] = lambda: None
        """Called when the first piece comes."""

    def text(self, piece: str) -> None:
        if not self._begun:
            self._begun = True
            self.on_begin()
        self._sink.text(piece)

    def restart(self) -> None:
        if self._begun:
            self._begun = False
            self._sink.restart()
