"""Which worker gets an assignment. Pure: what is known goes in, a choice comes out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from nadg.domain.assignment import Assignment, SkillCall
from nadg.domain.tier import Tier
from nadg.domain.worker import WorkerInfo

LOCAL_BYTES = 64 << 10
"""Blobs from this size on are worth sending an assignment to where they are."""
AHEAD_SECONDS = 0.1
"""Work that a worker should have waiting, so that it never waits for the master."""
MAX_AHEAD = 64


class Demand(msgspec.Struct, frozen=True, kw_only=True):
    """What an assignment asks of a worker. Equal demands wait in one line."""

    kind: str
    """The subtask: its attempts are alike in length."""
    labels: tuple[str, ...] = ()
    min_tier: Tier = Tier.LANDLOCK
    skill: str = ""
    avoid: tuple[str, ...] = ()
    """Taken only where nobody else qualifies."""
    refused_by: tuple[str, ...] = ()
    """Workers that said they cannot."""


class Place(msgspec.Struct, kw_only=True):
    """A connected worker as placement sees it."""

    url: str
    info: WorkerInfo
    window: int
    """The most unfinished attempts it takes."""
    in_flight: int = 0
    trial: bool = False
    """It failed too often: one attempt at a time."""
    holds: dict[str, None] = {}
    """Large blobs that it is known to have, oldest first."""
    room: int = 0
    """As many attempts as begin at once; derived."""

    def __post_init__(self) -> None:
        self.room = min(self.window, self.info.slots)


def demand_of(assignment: Assignment) -> Demand:
    """What this assignment asks for."""
    return Demand(
        kind=assignment.attempt_id.rsplit("/", 2)[0],
        labels=assignment.labels,
        min_tier=assignment.min_tier,
        skill=assignment.job.skill if isinstance(assignment.job, SkillCall) else "",
        avoid=assignment.avoid_workers,
    )


def large_blobs(assignment: Assignment) -> dict[str, int]:
    """The blobs that placement cares about, SHA-256 to size."""
    return {sha256: size for sha256, size in assignment.blobs().items() if size >= LOCAL_BYTES}


def lack(info: WorkerInfo, demand: Demand) -> str:
    """Why this worker does not qualify, as a part of a sentence; empty where it does."""
    missing = [label for label in demand.labels if label not in info.labels]
    if missing:
        return f"{info.name} lacks the label {', '.join(missing)}"
    if not info.tier.satisfies(demand.min_tier):
        return f"{info.name} isolates with tier {info.tier}, {demand.min_tier} is wanted"
    if demand.skill and demand.skill not in info.skills:
        return f"{info.name} does not have the skill {demand.skill}"
    if info.name in demand.refused_by:
        return f"{info.name} said it cannot"
    return ""


def qualified(places: Iterable[Place], demand: Demand) -> list[Place]:
    """Who may get it: those it does not avoid, or where there are none, those it does."""
    able = [place for place in places if not lack(place.info, demand)]
    return [place for place in able if place.info.name not in demand.avoid] or able


def room_for(places: Iterable[Place], demand: Demand) -> int:
    """How many slots stand free where such work may go; one on trial is no place to be faster."""
    fit = (place for place in qualified(places, demand) if not place.trial)
    return sum(max(place.info.slots - place.in_flight, 0) for place in fit)


def unmet_sentence(infos: Sequence[WorkerInfo], demand: Demand) -> str | None:
    """One sentence on why none of these qualifies; None where one does."""
    if not infos:
        return "no worker is connected; see `nadg workers list`, or start some with `nadg up`"
    lacks = [lack(info, demand) for info in infos]
    if not all(lacks):
        return None
    more = f", and {len(lacks) - 3} more" if len(lacks) > 3 else ""
    return f"no connected worker qualifies: {'; '.join(lacks[:3])}{more}"


def attempts_ahead(mean_seconds: float | None, slots: int) -> int:
    """How many attempts of this mean length a worker should have beyond its slots.

    None ahead while the length is unknown, and none of long ones: those would wait behind one another
    while other workers stand idle.
    """
    if mean_seconds is None:
        return 0
    return min(MAX_AHEAD, int(AHEAD_SECONDS * slots / max(mean_seconds, 1e-6)))


def choose(places: Sequence[Place], blobs: Mapping[str, int], mean_seconds: float | None) -> Place | None:
    """The best of these qualified workers that has room; None where none has.

    A free slot first; then the fewest bytes to send; then the least load. Most of the time nearly all of many
    workers are busy, so what passes over those is kept short.
    """
    able = [place for place in places if place.in_flight < place.room and not (place.trial and place.in_flight)]
    if not able:
        ahead = {slots: attempts_ahead(mean_seconds, slots) for slots in {place.info.slots for place in places}}
        able = (
            [place for place in places if _takes_more(place, ahead[place.info.slots])]
            if any(ahead.values())
            else []
        )
    return min(able, key=lambda place: _cost(place, blobs), default=None)


def _takes_more(place: Place, ahead: int) -> bool:
    return place.in_flight < min(place.window, place.info.slots + ahead) and not (place.trial and place.in_flight)


def _cost(place: Place, blobs: Mapping[str, int]) -> tuple[int, float]:
    to_send = sum(size for sha256, size in blobs.items() if sha256 not in place.holds) if blobs else 0
    return to_send, place.in_flight / place.info.slots
