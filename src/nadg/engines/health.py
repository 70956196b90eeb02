"""Which workers fail by their own fault, and for how long they are set aside. Pure: times come in.

An end counts as a worker's fault, or as a good one. Three faults in a row, or five of its last ten ends, set a
worker aside for ten seconds; each further time doubles that, up to ten minutes. Then it is on trial, with one
attempt at a time, until one ends well; a fault on trial sets it aside again.

Work can be at fault too: a shard that kills whoever takes it must not take the grid down. So a fault counts
only while its shard was at fault on this worker alone. A shard that was at fault on a second worker too is
suspected, and counts against none, unless it ends well somewhere after all: then it was the workers. And the
same shard is held against the same worker once.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable

import msgspec

IN_A_ROW = 3
LAST_ENDS = 10
OF_THE_LAST = 5
FIRST_SECONDS = 10.0
MOST_SECONDS = 600.0
KEPT_SHARDS = 10_000


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that went wrong: an attempt, or the death of a worker that had begun several."""

    shards: frozenset[str]
    what: str


class Quarantine(msgspec.Struct, frozen=True, kw_only=True):
    """A worker is set aside until then; `why` is a part of a sentence."""

    until: float
    why: str
    faults: tuple[Fault, ...]
    """What it is for; it ends at once when fewer than `enough` of them count any more."""
    enough: int


class _Record(msgspec.Struct, kw_only=True):
    """What is known of a worker that was at fault at least once."""

    ends: deque[Fault | None]
    """The newest last; None is a good one."""
    times: int = 0
    """How often it was set aside since it last was well for long."""
    quarantine: Quarantine | None = None
    on_trial: bool = False
    """From the end of a quarantine until an attempt ends well, the quarantines between included."""


class Health:
    """The records of all workers, by name: a name outlives the worker's process."""

    def __init__(self) -> None:
        self._records: dict[str, _Record] = {}
        self._at_fault_on: OrderedDict[str, set[str]] = OrderedDict()
        self._unjudged = False

    # -- what happened

    def good(self, worker: str, shard: str) -> None:
        """An attempt ended by what its own code did."""
        if shard in self._at_fault_on:
            self._unjudged |= len(self._at_fault_on[shard]) > 1
            del self._at_fault_on[shard]
        record = self._records.get(worker)
        if record is None:
            return
        if record.quarantine is not None:
            return  # it began before
        if record.on_trial:
            record.on_trial = False
            record.ends.clear()
        record.ends.append(None)
        if len(record.ends) == LAST_ENDS and not any(record.ends):
            del self._records[worker]

    def fault(self, worker: str, shards: Iterable[str], what: str) -> None:
        """By this worker's fault these shards came to no end, it seems. `what` is a part of a sentence."""
        fault = Fault(shards=frozenset(shards), what=what)
        for shard in fault.shards:
            self._at_fault_on.setdefault(shard, set()).add(worker)
            self._at_fault_on.move_to_end(shard)
        while len(self._at_fault_on) > KEPT_SHARDS:
            self._at_fault_on.popitem(last=False)
        record = self._records.get(worker)
        if record is None:
            record = self._records[worker] = _Record(ends=deque(maxlen=LAST_ENDS))
        record.ends.append(fault)
        self._unjudged = True

    # -- what follows

    def judge(self, now: float) -> bool:
        """Set aside who deserves it, let go who has done the time. True where anything is other than before."""
        changed = False
        for record in self._records.values():
            if record.quarantine is not None and record.quarantine.until <= now:
                record.quarantine, record.on_trial, changed = None, True, True
                record.ends.clear()
        if self._unjudged:
            self._unjudged = False
            judged = [self._judge(record, now) for record in self._records.values()]
            changed = changed or any(judged)
        return changed

    def quarantine(self, worker: str) -> Quarantine | None:
        """Until when it is set aside and why; None where it may be used."""
        record = self._records.get(worker)
        return record.quarantine if record else None

    def quarantines(self) -> dict[str, Quarantine]:
        """Everyone that is set aside."""
        return {name: one.quarantine for name, one in self._records.items() if one.quarantine is not None}

    def on_trial(self, worker: str) -> bool:
        """Whether it gets one attempt at a time."""
        record = self._records.get(worker)
        return record is not None and record.on_trial and record.quarantine is None

    def next_end(self) -> float | None:
        """When the next quarantine ends."""
        return min((one.until for one in self.quarantines().values()), default=None)

    # -- within

    def _judge(self, record: _Record, now: float) -> bool:
        old = record.quarantine
        if old is not None and sum(map(self._counts, old.faults)) >= old.enough:
            return False
        record.quarantine = None if old else self._deserved(record, now)
        record.times += (record.quarantine is not None) - (old is not None)
        return record.quarantine is not old

    def _deserved(self, record: _Record, now: float) -> Quarantine | None:
        in_a_row = self._counted(record, since_good=True)
        of_the_last = self._counted(record, since_good=False)
        if record.on_trial and in_a_row:
            faults, enough, how = in_a_row, 1, "failed again when it was tried"
        elif len(in_a_row) >= IN_A_ROW:
            faults, enough, how = in_a_row, IN_A_ROW, f"failed {len(in_a_row)} times in a row by its own fault"
        elif len(of_the_last) >= OF_THE_LAST:
            how = f"failed {len(of_the_last)} of the last {len(record.ends)} times by its own fault"
            faults, enough = of_the_last, OF_THE_LAST
        else:
            return None
        until = now + min(FIRST_SECONDS * 2.0 ** min(record.times, 10), MOST_SECONDS)
        return Quarantine(until=until, why=f"{how}: {faults[-1].what}", faults=tuple(faults), enough=enough)

    def _counted(self, record: _Record, *, since_good: bool) -> list[Fault]:
        """The faults that count against it, oldest first, each shard once."""
        counted: list[Fault] = []
        seen: set[str] = set()
        for end in reversed(record.ends):
            if end is None and since_good:
                break
            if end is not None and not end.shards <= seen and self._counts(end):
                counted.append(end)
                seen |= end.shards
        return counted[::-1]

    def _counts(self, fault: Fault) -> bool:
        """Not where one of its shards was at fault elsewhere too: that one may have done it."""
        return all(len(self._at_fault_on.get(shard, ())) < 2 for shard in fault.shards)
