"""Ends that workers still keep: reported here and not yet in store, or another master's by now."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from nadg.engines.node import Node
from nadg.link.frames import Ack

KEPT_ABANDONED = 50_000


class UnackedEnds:
    """Which worker keeps which end. What is abandoned is remembered so that it is left alone there."""

    def __init__(self) -> None:
        self._node_of: dict[str, Node] = {}
        self._abandoned: dict[str, None] = {}

    def reported(self, attempt_id: str, node: Node) -> None:
        """This worker's end was told upwards; it keeps the end until `acknowledge`."""
        self._node_of[attempt_id] = node

    def acknowledge(self, attempt_ids: Iterable[str]) -> None:
        """Tell the workers that they may forget; one that is away says it again, and hears it then."""
        by_node: dict[Node, list[str]] = defaultdict(list)
        for attempt_id in attempt_ids:
            node = self._node_of.pop(attempt_id, None)
            if node is not None:
                by_node[node].append(attempt_id)
        for node, ids in by_node.items():
            node.say(Ack(attempt_ids=tuple(ids)), soon=False)

    def abandon(self, attempt_id: str) -> None:
        """From now on it is another master's."""
        self._node_of.pop(attempt_id, None)
        self._abandoned[attempt_id] = None
        while len(self._abandoned) > KEPT_ABANDONED:
            del self._abandoned[next(iter(self._abandoned))]

    def reclaim(self, attempt_id: str) -> None:
        """This master asks for it again."""
        self._node_of.pop(attempt_id, None)
        self._abandoned.pop(attempt_id, None)

    def is_kept(self, attempt_id: str, node: Node) -> bool:
        """Whether the worker is to keep it, though nobody waits for it here."""
        return attempt_id in self._abandoned or self._node_of.get(attempt_id) is node
