"""Runs: submitted, listed, followed, ended."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request, Response

from nadg.api.routes.parts import Parts, looked_up
from nadg.api.schemas import (
    MOST_RUNS,
    checked_run,
    checked_submission,
    count_of,
    json_response,
    read_body,
    wait_of,
)
from nadg.api.service import MasterParts
from nadg.domain.master_api import (
    CancelAnswer,
    Cancelling,
    EventPage,
    RunEvent,
    Submission,
    Submitted,
    encode_record,
)
from nadg.domain.run import RunRecord
from nadg.orchestrator.answer import compose_answer
from nadg.orchestrator.export import run_document

LOOK_SECONDS = 0.5
"""How often a run is looked at that another master carries out, whose bell does not ring here."""
PAGE_EVENTS = 1_000

routes = APIRouter(prefix="/v1/runs")


@routes.post("")
async def submit(request: Request, parts: Parts) -> Response:
    """201 once the run is stored; the answer is then a matter of time, not of this connection."""
    submission = checked_submission(await read_body(request, Submission))
    return json_response(Submitted(id=await parts.service.submit(submission)), 201)


@routes.get("")
async def list_runs(request: Request, parts: Parts) -> Response:
    """Newest first; `limit` says how many."""
    limit = count_of(request.query_params.get("limit"), "limit", 50, MOST_RUNS)
    return json_response(await looked_up(parts.store.runs.list(limit), parts))


@routes.get("/{run_id}")
async def get_run(run_id: str, parts: Parts) -> Response:
    """As `run.json` has it; a run's id may be cut short to its beginning."""
    record = await looked_up(_record(run_id, parts), parts)
    document = await asyncio.to_thread(run_document, record, parts.blobs)
    return json_response(document | {"orphaned": record.orphaned})


@routes.get("/{run_id}/record")
async def get_record(run_id: str, parts: Parts) -> Response:
    """All that is stored of it, with its plan: what a client needs to show and export it as a local run."""
    record = await looked_up(_record(run_id, parts), parts)
    return Response(await asyncio.to_thread(encode_record, record), media_type="application/json")


@routes.get("/{run_id}/answer")
async def get_answer(run_id: str, parts: Parts) -> Response:
    """The answer as it stands, as Markdown."""
    record = await looked_up(_record(run_id, parts), parts)
    text = await asyncio.to_thread(compose_answer, record, parts.blobs)
    return Response(text.encode(), media_type="text/markdown; charset=utf-8")


@routes.get("/{run_id}/events")
async def get_events(run_id: str, request: Request, parts: Parts) -> Response:
    """What happened after `after`; where nothing did, the answer waits up to `wait` seconds for it."""
    after = count_of(request.query_params.get("after"), "after", 0, 2**53)
    seconds = wait_of(request.query_params.get("wait"))
    run_id = await looked_up(parts.store.runs.find(checked_run(run_id)), parts)
    return json_response(await next_events(run_id, after, seconds, parts))


@routes.post("/{run_id}/cancel")
async def cancel(run_id: str, request: Request, parts: Parts) -> Response:
    """202: whoever carries it out will end it; what is done is kept."""
    asked = await read_body(request, Cancelling)
    if parts.service.call_off(run_id):
        return json_response(CancelAnswer(id=run_id, asked=True), 202)
    run_id = await looked_up(parts.store.runs.find(checked_run(run_id)), parts)
    answer = await looked_up(parts.service.cancel(run_id, asked.reason[:300]), parts)
    return json_response(answer, 202 if answer.asked and not answer.ended else 200)


async def _record(run_id: str, parts: MasterParts) -> RunRecord:
    return await parts.store.runs.get(await parts.store.runs.find(checked_run(run_id)))


async def next_events(run_id: str, after: int, seconds: float, parts: MasterParts) -> EventPage:
    """A page with something in it, or an empty one once the time is up."""
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    with parts.bell.listening(run_id) as rung:
        while True:
            rung.clear()
            page = await looked_up(_page(run_id, after, parts), parts)
            left = until - loop.time()
            if page.events or left <= 0 or parts.bell.closed:
                return page
            await _within(rung, min(left, LOOK_SECONDS))


async def _page(run_id: str, after: int, parts: MasterParts) -> EventPage:
    found = await parts.store.runs.events_after(run_id, after, PAGE_EVENTS)
    events = tuple(RunEvent(seq=one.seq, at=one.at, term=one.term, change=one.change) for one in found)
    return EventPage(events=events)


async def _within(rung: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await rung.wait()
    except TimeoutError:
        return
