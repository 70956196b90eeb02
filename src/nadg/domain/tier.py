"""How strongly a worker isolates what it runs."""

from __future__ import annotations

import enum


class Tier(enum.StrEnum):
    """A sandbox tier, probed on the worker, never assumed."""

    NONE = "none"
    """Own process and resource limits only; refused unless the worker's owner allows it by name."""
    LANDLOCK = "landlock"
    """Landlock and seccomp: no foreign files, no network, no new processes."""
    NAMESPACES = "namespaces"
    """As `landlock`, inside user, pid, network, mount, ipc and uts namespaces of its own."""

    @property
    def strength(self) -> int:
        """Comparable rank; a higher tier includes what a lower one stops."""
        return _STRENGTHS[self]

    def satisfies(self, wanted: Tier) -> bool:
        """Whether work that demands `wanted` may run here."""
        return self.strength >= wanted.strength


def strongest(*tiers: Tier | None) -> Tier:
    """The strongest of these demands; None demands nothing."""
    return max((tier for tier in tiers if tier is not None), key=lambda tier: tier.strength, default=Tier.NONE)


_STRENGTHS = {tier: rank for rank, tier in enumerate(Tier)}
