"""What ends of attempts teach: how long such attempts take, and which blobs a worker now has."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from nadg.domain.outcome import Outcome
from nadg.engines.node import Node, Ticket
from nadg.engines.placement import Place

KEPT_HOLDS = 50_000
KEPT_MEANS = 1000
NEWEST_WEIGHT = 0.2
"""Share of the newest attempt in the running mean of attempt lengths."""
LONGEST_SECONDS = 3600.0
"""A worker whose clock was set in mid-attempt may claim years; longer than this makes no difference here."""


class Lengths:
    """The running mean of attempt lengths, by kind. A length is a difference on one worker's own clock."""

    def __init__(self) -> None:
        self._means: OrderedDict[str, float] = OrderedDict()

    def mean(self, kind: str) -> float | None:
        """Seconds; None where none of this kind has ended."""
        return self._means.get(kind)

    def learn(self, node: Node, ticket: Ticket, outcome: Outcome) -> None:
        """An attempt ended on this worker."""
        self._learn_length(ticket.demand.kind, outcome)
        if node.place is not None and (outcome.artifacts or outcome.result):
            remember(node.place, outcome_blobs(outcome))

    def _learn_length(self, kind: str, outcome: Outcome) -> None:
        seconds = (outcome.receipt.finished_at - outcome.receipt.started_at).total_seconds()
        seconds = min(max(seconds, 0.0), LONGEST_SECONDS)
        old = self._means.pop(kind, seconds)
        self._means[kind] = old + NEWEST_WEIGHT * (seconds - old)
        if len(self._means) > KEPT_MEANS:
            self._means.popitem(last=False)


def outcome_blobs(outcome: Outcome) -> dict[str, int]:
    """Every blob an outcome refers to, SHA-256 to size."""
    found = {file.blob.sha256: file.blob.size for file in outcome.artifacts}
    if outcome.result is not None and outcome.result.blob is not None:
        found[outcome.result.blob.sha256] = outcome.result.blob.size
    return found


def remember(place: Place, sha256s: Iterable[str]) -> None:
    """Note that the worker has these blobs."""
    for sha256 in sha256s:
        place.holds[sha256] = None
    while len(place.holds) > KEPT_HOLDS:
        del place.holds[next(iter(place.holds))]
