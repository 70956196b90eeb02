"""What a run took of language models, as `run.json` tells it."""

from __future__ import annotations

from collections import Counter
from typing import Any

from nadg.domain.model_calls import CallRecord, ModelUsage
from nadg.domain.run import RunRecord


def spending_document(run: RunRecord) -> dict[str, Any]:
    """`usage`, `calls` and `repairs` of a run, as plain JSON data; `repairs` is subtask id to how many."""
    repairs = Counter(
        call.charge.subtask_id
        for call in run.calls
        if call.charge.purpose == "repair" and call.state in ("answered", "cached")
    )
    return {
        "usage": usage_document(run.usage),
        "calls": [_call(call) for call in run.calls],
        "repairs": dict(repairs),
    }


def usage_document(usage: ModelUsage) -> dict[str, Any]:
    """Numbers as they stand; `cost_usd` is null where a price is not known."""
    return {
        "models": list(usage.models),
        "answers": usage.answers,
        "cached": usage.cached,
        "requests": usage.requests,
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "thinking_tokens": usage.thinking_tokens,
        "cost_usd": usage.cost_usd,
        "latency_seconds": usage.latency_seconds,
    }


def _call(call: CallRecord) -> dict[str, Any]:
    """What it took; of a request whose end is not known, what was set aside for it."""
    charge, usage = call.charge, call.usage
    return {
        "id": charge.id,
        "purpose": charge.purpose,
        "subtask": charge.subtask_id,
        "model": charge.model,
        "at": charge.at.isoformat(),
        "state": call.state,
        "cached": call.state == "cached",
        "input_tokens": usage.input_tokens if usage else None,
        "output_tokens": usage.output_tokens if usage else None,
        "thinking_tokens": usage.thinking_tokens if usage else None,
        "cost_usd": usage.cost_usd if usage else charge.cost_usd,
        "latency_seconds": usage.latency_seconds if usage else None,
        "set_aside_tokens": charge.tokens,
        "reason": call.reason,
    }
