"""Ids and needs: unique names, known needs, no circles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from nadg.domain.checks.draft import Draft
from nadg.domain.checks.places import Suggestions, place_of, shown
from nadg.domain.problems import Problem

_MOST_SHOWN = 12


def graph_problems(drafts: Sequence[Draft], suggest: Suggestions) -> Iterator[Problem]:
    """Every problem with ids and needs."""
    first: dict[str, Draft] = {}
    for draft in drafts:
        if draft.id is None:
            continue
        if draft.id in first:
            where = place_of(first[draft.id].path)
            yield draft.problem(("id",), f"{shown(draft.id)} is the id of {where} too; give each its own")
        else:
            first[draft.id] = draft
    for draft in drafts:
        yield from _need_problems(draft, first, suggest)
    yield from _circle_problems(first)


def _need_problems(draft: Draft, known: Mapping[str, Draft], suggest: Suggestions) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, need in draft.needs:
        if need == draft.id:
            yield draft.problem(("needs", index), f"{shown(need)} needs itself; take it out")
        elif need not in known:
            hint = suggest.hint(need, known)
            yield draft.problem(("needs", index), f"{shown(need)} is the id of no subtask{hint}")
        elif need in seen:
            yield draft.problem(("needs", index), f"{shown(need)} is listed twice; once is enough")
        seen.add(need)


def _circle_problems(known: Mapping[str, Draft]) -> Iterator[Problem]:
    """One problem for each knot of subtasks that wait for each other, naming a shortest circle in it."""
    edges = {
        subtask_id: [need for _, need in draft.needs if need in known and need != subtask_id]
        for subtask_id, draft in known.items()
    }
    for knot in _knots(edges):
        circle = _shortest_circle(knot, edges)
        draft = known[circle[0]]
        index = next(index for index, need in draft.needs if need == circle[1])
        drawn = circle if len(circle) <= _MOST_SHOWN else [*circle[: _MOST_SHOWN - 1], "…", circle[-1]]
        yield draft.problem(
            ("needs", index),
            f"the subtasks wait for each other in a circle: {' -> '.join(drawn)}; cut one of these",
        )


def _knots(edges: Mapping[str, Sequence[str]]) -> Iterator[list[str]]:
    """Strongly connected components of two or more nodes (Tarjan's algorithm with its own stack)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    open_nodes: list[str] = []
    is_open: set[str] = set()
    for root in edges:
        if root in order:
            continue
        order[root] = low[root] = len(order)
        open_nodes.append(root)
        is_open.add(root)
        work = [(root, iter(edges[root]))]
        while work:
            node, rest = work[-1]
            for need in rest:
                if need not in order:
                    order[need] = low[need] = len(order)
                    open_nodes.append(need)
                    is_open.add(need)
                    work.append((need, iter(edges[need])))
                    break
                if need in is_open:
                    low[node] = min(low[node], order[need])
            else:
                work.pop()
                if work:
                    parent = work[-1][0]
                    low[parent] = min(low[parent], low[node])
                if low[node] == order[node]:
                    start = open_nodes.index(node)
                    knot = open_nodes[start:]
                    del open_nodes[start:]
                    is_open.difference_update(knot)
                    if len(knot) > 1:
                        yield knot


def _shortest_circle(knot: Sequence[str], edges: Mapping[str, Sequence[str]]) -> list[str]:
    """A shortest way through the knot from its first node back to itself, both ends named."""
    inside, start = set(knot), knot[0]
    before: dict[str, str] = {}
    queue = [start]
    for node in queue:
        for need in edges[node]:
            if need == start:
                way = [start, node]
                while way[-1] != start:
                    way.append(before[way[-1]])
                return way[::-1]
            if need in inside and need not in before:
                before[need] = node
                queue.append(need)
    raise AssertionError("a knot always has a circle through each of its nodes")
