"""What this host can enforce: every tier is tried for real, and for what is missing there is a mend."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

from nadg.domain.blob import Blobs
from nadg.domain.errors import SandboxUnavailable
from nadg.domain.tier import Tier
from nadg.sandbox.advice import Advice, advice
from nadg.sandbox.host import HostFacts, read_host
from nadg.sandbox.policy import Policy
from nadg.sandbox.probe import ProbeReport
from nadg.sandbox.supervisor import Sandbox
from nadg.sandbox.threats import BEYOND_EVERY_TIER, THREATS, Threat

BEST_FIRST = (Tier.NAMESPACES, Tier.LANDLOCK, Tier.NONE)


class TierTrial(msgspec.Struct, frozen=True, kw_only=True):
    """How a tier fared: its probe's report, or why it cannot be had."""

    tier: Tier
    works: bool
    reason: str = ""
    report: ProbeReport | None = None


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """All of it."""

    best: Tier
    """`none` where no tier isolates here."""
    tiers: tuple[TierTrial, ...]
    host: HostFacts
    advice: tuple[Advice, ...]
    threats: tuple[Threat, ...] = THREATS
    beyond_every_tier: tuple[str, ...] = BEYOND_EVERY_TIER

    @property
    def isolates(self) -> bool:
        """Whether code of others may run here."""
        return self.best.satisfies(Tier.LANDLOCK)


async def diagnose(folder: Path, blobs: Blobs) -> Diagnosis:
    """Try every tier in `folder`, where a worker's attempts would be, and read the host's facts."""
    host = await asyncio.to_thread(read_host, Policy())
    trials = [await _try_tier(tier, folder / str(tier), blobs) for tier in BEST_FIRST]
    working = [one.tier for one in trials if one.works]
    best = next((tier for tier in working), Tier.NONE)
    return Diagnosis(best=best, tiers=tuple(trials), host=host, advice=advice(host, working))


async def _try_tier(tier: Tier, folder: Path, blobs: Blobs) -> TierTrial:
    policy = Policy(tier=tier, allow_none=tier is Tier.NONE, zygotes={"lean": ()})
    try:
        async with Sandbox(policy, folder, blobs) as sandbox:
            return TierTrial(tier=tier, works=True, report=sandbox.report)
    except (SandboxUnavailable, OSError) as error:
        return TierTrial(tier=tier, works=False, reason=str(error).removeprefix(f"{tier}: "))
