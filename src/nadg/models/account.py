"""The account of a run: no request is sent that its budget has no room for, before a restart or after."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable

from nadg.domain.clock import Clock
from nadg.domain.errors import BudgetSpent
from nadg.domain.model_calls import Budget, CallCharge, CallRecord, ModelUsage, Settlement, StoredAnswer
from nadg.models.budget_sentences import no_price, no_room
from nadg.models.call import Granted, ModelCall, Wanted
from nadg.models.memory import Ledger
from nadg.models.spending import Spending, cost_usd, shortest_answer


def _say_nothing(text: str) -> None:
    del text


def _random_id() -> str:
    return uuid.uuid4().hex


class RunAccount:
    """An `Account`; `open` makes one.

    Each charge is the most that its request can come to, so that requests under way can never come to more
    than the budget together, unless a provider counts more input tokens than were estimated.
    """

    def __init__(
        self,
        run_id: str,
        spending: Spending,
        ledger: Ledger,
        *,
        clock: Clock,
        use_cache: bool,
        notice: Callable[[str], None],
        create_id: Callable[[], str],
    ) -> None:
        self._run_id, self._spending, self._ledger = run_id, spending, ledger
        self._clock, self._use_cache, self._notice, self._create_id = clock, use_cache, notice, create_id
        self._freed = asyncio.Event()

    @classmethod
    async def open(
        cls,
        run_id: str,
        budget: Budget,
        ledger: Ledger,
        *,
        clock: Clock,
        use_cache: bool = True,
        notice: Callable[[str], None] = _say_nothing,
        create_id: Callable[[], str] = _random_id,
    ) -> RunAccount:
        """Count on from where the ledger stands. A call whose end is not known counts as it was charged."""
        spending = Spending(budget, await ledger.calls(run_id))
        return cls(run_id, spending, ledger, clock=clock, use_cache=use_cache, notice=notice, create_id=create_id)

    @property
    def run_id(self) -> str:
        return self._run_id

    @property
    def use_cache(self) -> bool:
        return self._use_cache

    @property
    def spent_tokens(self) -> int:
        """In and out, calls of unknown end included as they were charged."""
        return self._spending.spent_tokens

    @property
    def spent_usd(self) -> float:
        """Of all whose price is known, calls of unknown end included as they were charged."""
        return self._spending.spent_usd

    @property
    def reserved_tokens(self) -> int:
        """Set aside for requests under way."""
        return self._spending.reserved_tokens

    @property
    def reserved_usd(self) -> float:
        """Set aside for requests under way."""
        return self._spending.reserved_usd

    @property
    def usage(self) -> ModelUsage:
        """What the calls are known to have taken."""
        return self._spending.usage

    def notice(self, text: str) -> None:
        self._notice(text)

    async def charge(self, wanted: Wanted) -> Granted:
        """Set aside what it may cost, durably; waits while requests under way may leave room for it.

        Where there is not room for all, the answer must be shorter: by half at most while others are under
        way, for what they leave may spare it that, and down to the shortest that is of use when it is alone.
        Raises BudgetSpent.
        """
        while (longest := self._length(wanted)) is None:
            if not self._spending.in_flight:
                raise BudgetSpent(no_room(self._spending, wanted))
            self._freed.clear()
            await self._freed.wait()
        shortened_by = self._spending.narrower(wanted) if longest < wanted.max_output_tokens else ""
        charge = self._charge_of(wanted, longest)
        self._spending.reserve(charge)  # nothing is awaited since the room was found: no other charge saw it
        await self._write(charge)
        return Granted(charge_id=charge.id, max_output_tokens=longest, shortened_by=shortened_by)

    async def settle(self, charge_id: str, state: Settlement, usage: ModelUsage, reason: str = "") -> None:
        """Put what it really took in place of what was set aside, even where that cannot be stored."""
        try:
            await self._ledger.settle(charge_id, state, usage, reason)
        finally:
            self._spending.settle(charge_id, usage)
            self._freed.set()

    async def answered_from_cache(self, call: ModelCall, answer: StoredAnswer) -> None:
        """Note an answer that no request was needed for."""
        charge = CallCharge(
            id=self._create_id(),
            run_id=self._run_id,
            purpose=call.purpose,
            model=answer.model,
            tokens=0,
            cost_usd=0.0,
            at=self._clock.now(),
            subtask_id=call.subtask_id,
        )
        usage = ModelUsage(models=(answer.model,), answers=1, cached=1)
        await self._ledger.record(CallRecord(charge=charge, state="cached", usage=usage))
        self._spending.add_cached(usage)

    def _length(self, wanted: Wanted) -> int | None:
        """How long the answer may be, as things stand; None where it would be too short. Raises BudgetSpent."""
        self._check_price(wanted)
        shortest = shortest_answer(wanted)
        if self._spending.in_flight:
            shortest = max(shortest, wanted.max_output_tokens // 2)
        longest = min(wanted.max_output_tokens, self._spending.longest_answer(wanted))
        return int(longest) if longest >= shortest else None

    def _check_price(self, wanted: Wanted) -> None:
        unpriced = self._spending.unpriced if cost_usd(wanted, 0) is not None else wanted.model
        if self._spending.budget.usd is not None and unpriced:
            raise BudgetSpent(no_price(unpriced))

    async def _write(self, charge: CallCharge) -> None:
        try:
            await self._ledger.charge(charge)
        except asyncio.CancelledError:
            self._spending.lose(charge.id)  # it may be written or not; counted is on the safe side
            self._freed.set()
            raise
        except BaseException:
            self._spending.free(charge.id)
            self._freed.set()
            raise

    def _charge_of(self, wanted: Wanted, output_tokens: int) -> CallCharge:
        return CallCharge(
            id=self._create_id(),
            run_id=self._run_id,
            purpose=wanted.purpose,
            model=wanted.model,
            tokens=wanted.input_tokens + output_tokens,
            cost_usd=cost_usd(wanted, output_tokens),
            at=self._clock.now(),
            subtask_id=wanted.subtask_id,
        )
