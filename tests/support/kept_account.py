"""An account for tests of what asks models behind a scripted door: it keeps what the user is told."""

from __future__ import annotations

from nadg.domain.model_calls import ModelUsage, Settlement, StoredAnswer
from nadg.models.call import Granted, ModelCall, Wanted


class KeptAccount:
    """An Account that keeps what the user is told; nothing is charged to it."""

    run_id, use_cache = "run", True

    def __init__(self) -> None:
        self.notices: list[str] = []

    def notice(self, text: str) -> None:
        self.notices.append(text)

    async def charge(self, wanted: Wanted) -> Granted:
        raise NotImplementedError

    async def settle(self, charge_id: str, state: Settlement, usage: ModelUsage, reason: str = "") -> None:
        raise NotImplementedError

    async def answered_from_cache(self, call: ModelCall, answer: StoredAnswer) -> None:
        raise NotImplementedError
