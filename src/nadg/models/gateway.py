"""The door to the models: picks who is asked, looks into the cache, goes on to the next model where one fails."""

from __future__ import annotations

import asyncio
import datetime
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

import msgspec

from nadg.domain.clock import Clock, SystemClock
from nadg.domain.errors import ModelError, ModelRefused, ModelUnavailable
from nadg.domain.model_calls import ModelUsage, StoredAnswer
from nadg.domain.model_names import DEFAULT_MODEL, parse_model
from nadg.models.asking import Asking, Means
from nadg.models.breaker import Breaker, Gone
from nadg.models.cache_key import cache_key
from nadg.models.call import Account, ModelCall, ModelClient, Reply, TextSink
from nadg.models.configuration import ModelSettings, check_keys, missing_key
from nadg.models.governor import DayClosed, Governor
from nadg.models.lazy_client import LazyClient, usable_providers
from nadg.models.memory import AnswerCache
from nadg.models.prices import price_list
from nadg.models.sentences import until_day
from nadg.models.telling import Telling

REVISIT_SECONDS = 300.0
"""Where one model is closed for the day and another is down: when to try again whether that one is back."""
SHORTEST_WAIT_SECONDS = 1.0
Sleep = Callable[[float], Awaitable[None]]


class Gateway:
    """The `Door` that everything at a master goes through; its governor sees every request there is."""

    def __init__(
        self,
        settings: ModelSettings,
        clients: Mapping[str, ModelClient],
        governor: Governor,
        cache: AnswerCache,
        clock: Clock,
        *,
        sleep: Sleep = asyncio.sleep,
        random: Callable[[], float] = random.random,
    ) -> None:
        """`random` gives numbers from 0 up to 1; `clients` are by provider."""
        self._settings, self._cache, self._clock, self._sleep = settings, cache, clock, sleep
        self._telling = Telling(clock)
        self._means = Means(
            settings=settings,
            clients=clients,
            governor=governor,
            breaker=Breaker(clock),
            clock=clock,
            sleep=sleep,
            random=random,
            telling=self._telling,
            prices=price_list(settings),
        )

    def serves(self, model: str) -> bool:
        """Whether this model, such as `google:gemini-3.8-flash`, is one that the settings name."""
        return model in self._settings.all_models() and parse_model(model).provider in self._means.clients

    async def ask(self, call: ModelCall, account: Account, sink: TextSink | None = None) -> Reply:
        """The answer; see `Door.ask`."""
        models = self._models(call)
        reply = await self._from_cache(models, call, account, sink)
        if reply is not None:
            return reply
        asking = Asking(self._means, call, account, sink)
        reply = await self._from_models(models, asking)
        if not asking.complete:
            return reply
        return await self._kept(call, account, reply, asking.last)

    async def reject(self, reply: Reply) -> None:
        """Its text turned out to be of no use: the same question shall not be answered with it again."""
        if reply.key:
            await self._cache.forget(reply.key)

    def _models(self, call: ModelCall) -> tuple[str, ...]:
        models = (call.model,) if call.model else self._settings.models_for(call.purpose)
        if not models:
            raise ModelRefused(f"no model is set; set NADG_MODEL, such as NADG_MODEL={DEFAULT_MODEL}, and its key")
        for model in models:
            name = parse_model(model)
            if name.provider not in self._means.clients:
                raise ModelRefused(missing_key(name))
        return models

    async def _from_cache(
        self, models: tuple[str, ...], call: ModelCall, account: Account, sink: TextSink | None
    ) -> Reply | None:
        for model in models:
            key = self._key(model, call, account)
            answer = await self._cache.get(key)
            if answer is not None:
                await account.answered_from_cache(call, answer)
                if sink is not None:
                    sink.text(answer.text)
                usage = ModelUsage(models=(model,), answers=1, cached=1)
                return Reply(text=answer.text, model=model, usage=usage, key=key)
        return None

    async def _kept(self, call: ModelCall, account: Account, reply: Reply, usage: ModelUsage) -> Reply:
        key = self._key(reply.model, call, account)
        await self._cache.put(key, StoredAnswer(model=reply.model, text=reply.text, usage=usage))
        return msgspec.structs.replace(reply, key=key)

    @staticmethod
    def _key(model: str, call: ModelCall, account: Account) -> str:
        return cache_key(model, call, run_id="" if account.use_cache and not call.anew else account.run_id)

    async def _from_models(self, models: tuple[str, ...], asking: Asking) -> Reply:
        """Ask one after the other; where a day's limit is what stops them, wait for it to end and start anew."""
        while True:
            ended = Round()
            for model in models:
                if ended.refuses(model):
                    continue
                if ended.cause:
                    self._telling.once(asking.account, f"{ended.cause}; asking {model} instead")
                try:
                    return await asking.ask(model)
                except DayClosed as error:
                    ended.closed_until(model, error.until)
                except Gone as error:
                    ended.gone(model, error)
            await self._wait_for_the_day(ended, asking.account)

    async def _wait_for_the_day(self, ended: Round, account: Account) -> None:
        """Raises the last failure where no model is only closed for the day."""
        if not ended.closed:
            assert ended.failure is not None
            raise ended.failure
        now, until = self._clock.now(), min(ended.closed.values())
        self._telling.once(account, f"{self._closed_today(ended)}; the run waits until {until_day(until)}")
        seconds = max(SHORTEST_WAIT_SECONDS, (until - now).total_seconds())
        is_down = isinstance(ended.failure, ModelUnavailable)
        await self._sleep(min(seconds, REVISIT_SECONDS) if is_down else seconds)

    def _closed_today(self, ended: Round) -> str:
        """Who takes no more requests today, and what hinders the others."""
        who = " and ".join(ended.closed) + (" allows" if len(ended.closed) == 1 else " allow")
        text = f"{who} no more requests today"
        if ended.unknown:
            setting = self._settings.all_models().get(ended.unknown, "another model")
            fallback = "its fallback " if setting == "NADG_MODEL_FALLBACKS" else ""
            return f"{text}, and {fallback}{ended.unknown} is unknown (set {setting})"
        return text if ended.failure is None else f"{ended.failure}; {text}"


class Round:
    """How the models fared that were asked one after the other."""

    def __init__(self) -> None:
        self.closed: dict[str, datetime.datetime] = {}
        """Those whose limit of the day is reached, and when it begins anew."""
        self.failure: ModelError | None = None
        """Of the last one that failed."""
        self.unknown = ""
        """The last one that failed, where there is no such model."""
        self.cause = ""
        """Why the last one gave no answer."""
        self._refused: frozenset[str] = frozenset()

    def refuses(self, model: str) -> bool:
        """Whether its provider takes no request with the key that there is."""
        return parse_model(model).provider in self._refused

    def closed_until(self, model: str, until: datetime.datetime) -> None:
        self.closed[model] = until
        self.cause = f"{model} allows no more requests until {until_day(until)}"

    def gone(self, model: str, error: Gone) -> None:
        self.unknown = model if error.unknown else ""
        self.failure, self.cause = error.failure, str(error.failure)
        self._refused |= error.refused_providers


@asynccontextmanager
async def open_gateway(
    settings: ModelSettings, *, cache: AnswerCache, clock: Clock | None = None
) -> AsyncIterator[Gateway]:
    """The door, until the block ends; its connections are kept until then.

    Raises UserError where a model or an address is written wrongly,
    or lacks its key.
    """
    check_keys(settings)
    clock = clock or SystemClock()
    clients: dict[str, LazyClient] = {
        provider: LazyClient(provider, settings) for provider in usable_providers(settings)
    }
    try:
        yield Gateway(settings, clients, Governor(settings.limits, clock=clock), cache, clock)
    finally:
        for client in clients.values():
            await client.aclose()
