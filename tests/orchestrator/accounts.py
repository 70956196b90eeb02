"""An account without a budget, for tests of what stands above it."""

from __future__ import annotations

from nadg.domain.model_calls import ModelUsage, Settlement, StoredAnswer
from nadg.models.call import Granted, ModelCall, Wanted


class SilentAccount:
    """Grants everything and keeps what it was told."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        self.use_cache = True
        self.notices: list[str] = []

    def notice(self, text: str) -> None:
        self.notices.append(text)

    async def charge(self, wanted: Wanted) -> Granted:
        return Granted(charge_id="1", max_output_tokens=wanted.max_output_tokens)

    async def settle(self, charge_id: str, state: Settlement, usage: ModelUsage, reason: str = "") -> None: ...

    async def answered_from_cache(self, call: ModelCall, answer: StoredAnswer) -> None: ...
