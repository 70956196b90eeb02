"""Ends that workers still keep: reported here and not yet in store, or another master's by now."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import msgspec

from nadg.engines.node import Node
from nadg.link.frames import Ack, Cancel

LEFT_ALONE_SECONDS = 60.0
"""Whoever owns what was abandoned has asked the workers for it long before: what is there still, is nobody's."""


class _Abandoned(msgspec.Struct, frozen=True, kw_only=True):
    """Who has it, where that is known, and until when it is left alone there."""

    node: Node | None
    until: float


class UnackedEnds:
    """Which worker keeps which end. What is abandoned is left alone there, for a while."""

    def __init__(self) -> None:
        self._node_of: dict[str, Node] = {}
        self._abandoned: dict[str, _Abandoned] = {}

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

    def abandon(self, attempt_id: str, node: Node | None, now: float) -> None:
        """From now on it is another master's; `node` has it under way, where it is not known to have ended."""
        self._abandoned.pop(attempt_id, None)
        node = self._node_of.pop(attempt_id, node)
        self._abandoned[attempt_id] = _Abandoned(node=node, until=now + LEFT_ALONE_SECONDS)

    def settle(self, now: float) -> None:
        """Let workers stop and forget what no other master took from them."""
        while (until := self.deadline()) is not None and until <= now:
            attempt_id = next(iter(self._abandoned))
            node = self._abandoned.pop(attempt_id).node
            if node is not None:
                node.say(Cancel(attempt_id=attempt_id))
                node.say(Ack(attempt_ids=(attempt_id,)))

    def deadline(self) -> float | None:
        """When `settle` is due: what was abandoned first is at the front."""
        return next((one.until for one in self._abandoned.values()), None)

    def reclaim(self, attempt_id: str) -> None:
        """This master asks for it again."""
        self._node_of.pop(attempt_id, None)
        self._abandoned.pop(attempt_id, None)

    def is_kept(self, attempt_id: str, node: Node) -> bool:
        """Whether the worker is to keep it, though nobody waits for it here."""
        return attempt_id in self._abandoned or self._node_of.get(attempt_id) is node
