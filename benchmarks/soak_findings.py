"""What a soak saw, and what of it must not be."""

from __future__ import annotations

import collections

import msgspec
from environment import percentile
from footprint import Footprint

MAX_HEALTH_P99_SECONDS = 0.05
MAX_MEMORY_GROWTH = 0.10


class Findings(msgspec.Struct, kw_only=True):
    """What the soak saw."""

    counts: collections.Counter[str] = msgspec.field(default_factory=collections.Counter)
    """Tasks by kind."""
    wrong: list[str] = []
    """Good tasks that did not end as they have to."""
    uncontained: list[str] = []
    """Attacks that did not end as they have to."""
    unexplained: list[str] = []
    """Attempts that were lost or crashed though no warm process was killed meanwhile."""
    kills: int = 0
    made_again: int = 0
    seconds: float = 0.0
    footprints: dict[str, Footprint] = {}
    left: list[str] = []
    latencies: list[float] = []
    health_failures: int = 0


def broken(findings: Findings, *, only_facts: bool) -> list[str]:
    """Everything that must not be, one sentence each."""
    before, half, after = (findings.footprints[name] for name in ("before", "half", "after"))
    found = [f"wrong: {one}" for one in findings.wrong]
    found += [f"not contained: {one}" for one in findings.uncontained]
    found += [f"lost: {one}" for one in findings.unexplained]
    found += [f"left in the worker at half: {one}" for one in half.grown(before)]
    found += [f"left in the worker: {one}" for one in after.grown(before)]
    found += [f"left when the worker was gone: {one}" for one in findings.left]
    if findings.health_failures:
        found.append(f"/health: {findings.health_failures} questions without a healthy answer")
    if only_facts:
        return found
    p99 = percentile(findings.latencies, 0.99)
    if p99 >= MAX_HEALTH_P99_SECONDS:
        found.append(f"/health: p99 is {p99 * 1000:.1f} ms, not under {MAX_HEALTH_P99_SECONDS * 1000:g} ms")
    growth = after.resident_bytes / half.resident_bytes - 1
    if growth > MAX_MEMORY_GROWTH:
        found.append(f"memory: the worker grew by {growth:.0%} in the second half")
    return found


def report(findings: Findings, attempts: int) -> None:
    counts, latencies = findings.counts, [1000 * one for one in findings.latencies]
    print(f"{attempts} attempts in {findings.seconds:.0f} s: {attempts / findings.seconds:.1f} /s")
    print("kinds: " + ", ".join(f"{kind} {count}" for kind, count in counts.most_common() if kind != "warm-up"))
    print(f"warm processes killed: {findings.kills}, attempts made again for it: {findings.made_again}")
    print(f"good tasks wrong: {len(findings.wrong)}; attacks not contained: {len(findings.uncontained)}")
    p50, p99, most = percentile(latencies, 0.5), percentile(latencies, 0.99), max(latencies)
    print(f"/health: p50 {p50:.2f} ms, p99 {p99:.2f} ms, max {most:.2f} ms, n={len(latencies)}")
    print(f"{'':22}" + "".join(f"{name:>12}" for name in findings.footprints))
    for field in Footprint.__struct_fields__:
        values = [getattr(one, field) for one in findings.footprints.values()]
        is_bytes = field.endswith("_bytes")
        shown = [f"{value / 2**20:.1f} MiB" if is_bytes else str(value) for value in values]
        print(f"{field.removesuffix('_bytes').replace('_', ' '):22}" + "".join(f"{one:>12}" for one in shown))
    print(f"left when the worker was gone: {len(findings.left)}")
