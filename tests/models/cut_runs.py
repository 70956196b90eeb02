"""Runs by chance whose accounts are dropped and opened anew, at a master whose power is cut in the middle."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import msgspec

from nadg.domain.model_calls import Budget
from nadg.models.account import RunAccount
from nadg.models.call import ModelCall, ModelClient, Turn
from nadg.models.configuration import ModelSettings
from nadg.models.estimate import estimate_input
from nadg.models.gateway import Gateway
from nadg.models.governor import Governor
from nadg.models.prices import price_of
from nadg.store.store import SqlStore, open_store
from tests.models.doors import FLASH, LITE, JumpingClock
from tests.models.driven_runs import CutLedger, Driven, drive_until

SETTINGS = ModelSettings(model=LITE, fallbacks=(FLASH,))


class Cut(msgspec.Struct, frozen=True, kw_only=True):
    """When a run loses its account: with so many writes, or while so many requests' last one is answered."""

    writes: int | None = None
    requests: int | None = None


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One run: what it asks, what it may spend, and how often it is begun anew."""

    seed: int
    calls: tuple[ModelCall, ...]
    budget: Budget
    width: int
    streamed: bool
    cuts: tuple[Cut, ...]

    @property
    def run_id(self) -> str:
        return f"run-{self.seed}"


def create_case(seed: int) -> Case:
    chance = random.Random(seed)
    calls = [_call(chance, f"run-{seed} {number}") for number in range(chance.randint(1, 3))]
    if chance.random() < 0.2:
        calls.append(calls[0])
    most = sum(estimate_input(call) + call.max_output_tokens for call in calls)
    tokens = int(most * chance.uniform(0.1, 1.5))
    price = price_of(LITE)
    assert price is not None
    usd = tokens * price.output_usd_per_token
    kinds = (Budget(tokens=tokens), Budget(usd=usd), Budget(tokens=tokens, usd=usd), Budget())
    return Case(
        seed=seed,
        calls=tuple(calls),
        budget=chance.choices(kinds, (10, 10, 3, 1))[0],
        width=chance.randint(1, 3),
        streamed=chance.random() < 0.5,
        cuts=tuple(_cut(chance) for _ in range(chance.choice([0, 0, 1, 2]))),
    )


def _call(chance: random.Random, name: str) -> ModelCall:
    turn = Turn(role="user", text=f"{name} " + "x" * chance.randint(0, 400))
    return ModelCall(purpose="prompt", turns=(turn,), max_output_tokens=chance.choice([20, 120, 400]))


def _cut(chance: random.Random) -> Cut:
    at = chance.randint(1, 4)
    return Cut(requests=at) if chance.random() < 0.6 else Cut(writes=at)


class Life:
    """One run, through all its accounts. Each of them asks for everything again, as a new process would."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.is_over = False
        """Whether all that it asks has had an end."""
        self.restarts = 0
        self.driven = Driven()
        self.account: RunAccount | None = None
        self._cuts = list(case.cuts)
        self._ledger: CutLedger | None = None
        self._requests_left: int | None = None

    async def live(self, door: Gateway, store: SqlStore, clock: JumpingClock, power: asyncio.Event) -> None:
        """Until it is over, or the power of the whole master is cut."""
        while not (self.is_over or power.is_set()):
            self.is_over = await self._live_once(door, store, clock)
            self.restarts += not self.is_over

    def is_cut_over_request(self) -> bool:
        """One of its requests has reached the provider: whether this is the one."""
        if self._requests_left is None:
            return False
        self._requests_left -= 1
        if self._requests_left == 0:
            self.cut()
        return self._requests_left == 0

    def cut(self) -> None:
        if self._ledger is not None:
            self._ledger.cut()

    async def _live_once(self, door: Gateway, store: SqlStore, clock: JumpingClock) -> bool:
        case, cut = self.case, self._cuts.pop(0) if self._cuts else Cut()
        self._requests_left = cut.requests
        self._ledger = ledger = CutLedger(store.model_calls, cut.writes)
        self.account = account = await RunAccount.open(case.run_id, case.budget, ledger, clock=clock)
        self.driven = driven = Driven()
        return await drive_until(
            None, ledger, door, account, case.calls, driven, width=case.width, streamed=case.streamed
        )


class Group:
    """Runs under way together, at a master that loses its power over one of their requests."""

    def __init__(self, cases: list[Case], requests: int) -> None:
        self.lives = {case.run_id: Life(case) for case in cases}
        self._requests_left = requests
        self._power = asyncio.Event()

    def on_request(self, run_id: str) -> bool:
        """Whether the power was cut over it, the run's or the master's."""
        self._requests_left -= 1
        is_last = self._requests_left == 0
        if is_last:
            self._power.set()
            for life in self.lives.values():
                life.cut()
        return self.lives[run_id].is_cut_over_request() or is_last

    async def work(self, path: Path, client: ModelClient) -> None:
        """Until the cut, and then with the file opened anew."""
        for power in (self._power, asyncio.Event()):
            clock = JumpingClock()
            async with open_store(path, clock) as store, asyncio.TaskGroup() as group:
                governor = Governor({}, clock=clock, time=clock.monotonic, sleep=clock.sleep)
                clients, cache = {"google": client}, store.model_answers
                door = Gateway(SETTINGS, clients, governor, cache, clock, sleep=clock.sleep)
                for life in self.lives.values():
                    group.create_task(life.live(door, store, clock, power))
