"""The door to the models: picks who is asked, looks into the cache, goes on to the next model where one fails."""

from __future__ import annotations

import asyncio
import datetime
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

from nadg.domain.clock import Clock, SystemClock
from nadg.domain.errors import ModelError, ModelRefused, UserError
from nadg.domain.model_calls import ModelUsage, StoredAnswer
from nadg.models.asking import Asking, Gone, Means
from nadg.models.cache_key import cache_key
from nadg.models.call import Account, ModelCall, ModelClient, Reply, TextSink
from nadg.models.configuration import ModelSettings, check_keys, missing_key
from nadg.models.governor import DayClosed, Governor
from nadg.models.lazy_client import LazyClient, usable_providers
from nadg.models.memory import AnswerCache
from nadg.models.names import DEFAULT_MODEL, parse_model
from nadg.models.prices import price_list
from nadg.models.sentences import until_day
from nadg.models.telling import Telling

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
            clock=clock,
            sleep=sleep,
            random=random,
            telling=self._telling,
            prices=price_list(settings),
        )

    def serves(self, model: str) -> bool:
        """Whether this model, such as `google:gemini-3.8-flash`, is configured to be asked."""
        try:
            return parse_model(model).provider in self._means.clients
        except UserError:
            return False

    async def ask(self, call: ModelCall, account: Account, sink: TextSink | None = None) -> Reply:
        """The answer; see `Door.ask`."""
        models = self._models(call)
        reply = await self._from_cache(models, call, account, sink)
        if reply is not None:
            return reply
        asking = Asking(self._means, call, account, sink)
        reply = await self._from_models(models, asking)
        if asking.complete:
            await self._keep(call, account, reply, asking.last)
        return reply

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
            answer = await self._cache.get(self._key(model, call, account))
            if answer is not None:
                await account.answered_from_cache(call, answer)
                if sink is not None:
                    sink.text(answer.text)
                usage = ModelUsage(models=(model,), answers=1, cached=1)
                return Reply(text=answer.text, model=model, usage=usage)
        return None

    async def _keep(self, call: ModelCall, account: Account, reply: Reply, usage: ModelUsage) -> None:
        answer = StoredAnswer(model=reply.model, text=reply.text, usage=usage)
        await self._cache.put(self._key(reply.model, call, account), answer)

    @staticmethod
    def _key(model: str, call: ModelCall, account: Account) -> str:
        return cache_key(model, call, run_id="" if account.use_cache else account.run_id)

    async def _from_models(self, models: tuple[str, ...], asking: Asking) -> Reply:
        """Ask one after the other; where a day's limit is what stops them, wait for it to end and start anew."""
        while True:
            closed: list[datetime.datetime] = []
            gone: ModelError | None = None
            refused: set[str] = set()
            for index, model in enumerate(models):
                if parse_model(model).provider in refused:
                    continue
                try:
                    return await asking.ask(model)
                except DayClosed as error:
                    closed.append(error.until)
                    cause = f"{model} allows no more requests until {until_day(error.until)}"
                except Gone as error:
                    gone, cause = error.failure, str(error.failure)
                    refused |= error.refused_providers
                after = [one for one in models[index + 1 :] if parse_model(one).provider not in refused]
                if after:
                    self._telling.once(asking.account, f"{cause}; asking {after[0]} instead")
            if not closed:
                assert gone is not None
                raise gone
            await self._wait_for_the_day(models, min(closed), asking.account)

    async def _wait_for_the_day(self, models: tuple[str, ...], until: datetime.datetime, account: Account) -> None:
        who = f"{models[0]} allows" if len(models) == 1 else " and ".join(models) + " allow"
        self._telling.once(account, f"{who} no more requests today; the run waits until {until_day(until)}")
        seconds = (until - self._clock.now()).total_seconds()
        await self._sleep(max(1.0, seconds))


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
