"""What a worker has done since it started."""

from __future__ import annotations

import msgspec

from nadg.domain.outcome import Outcome


class Totals(msgspec.Struct, kw_only=True):
    """Attempts that ended, by how."""

    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0

    def count(self, outcome: Outcome) -> None:
        match outcome.kind:
            case "succeeded":
                self.succeeded += 1
            case "cancelled":
                self.cancelled += 1
            case _:
                self.failed += 1
