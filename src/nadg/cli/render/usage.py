"""What language models took: one line for a run, and a table of what each part of it took."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from rich.table import Table

from nadg.cli.render.safe import one_line
from nadg.cli.render.tables import plain_table
from nadg.cli.render.units import counted
from nadg.domain.model_calls import CallRecord, CallState, ModelUsage
from nadg.domain.run import RunRecord

PRICE_UNKNOWN = "price unknown"
SHOWN_MODELS = 4


class _Part(msgspec.Struct, kw_only=True):
    """Calls for one purpose of one subtask to one model, added up."""

    usage: ModelUsage = ModelUsage()
    failed: int = 0
    unsettled: int = 0


def usage_line(record: RunRecord) -> str | None:
    """`Models: 14 answers (3 cached), 21,034 tokens in, 4,120 out, $0.0031, …`; None where none was asked."""
    if not record.calls:
        return None
    usage = record.usage
    cached = f" ({usage.cached:,} cached)" if usage.cached else ""
    thinking = f" ({usage.thinking_tokens:,} thinking)" if usage.thinking_tokens else ""
    out = usage.output_tokens + usage.thinking_tokens
    facts = [
        counted(usage.answers, "answer") + cached,
        f"{usage.input_tokens:,} tokens in",
        f"{out:,} out{thinking}",
        money(usage.cost_usd),
        *_unanswered(record.calls),
        *_models(usage.models),
    ]
    return f"Models: {', '.join(facts)}"


def money(usd: float | None) -> str:
    """US dollars, to a hundredth of a cent where they are few; `price unknown` for None."""
    if usd is None:
        return PRICE_UNKNOWN
    if 0 < usd < 0.0001:
        return "less than $0.0001"
    return f"${usd:,.4f}" if usd < 1 else f"${usd:,.2f}"


def usage_table(record: RunRecord) -> Table | None:
    """A line for each subtask, purpose and model, in order of first use; None where no model was asked."""
    parts: dict[tuple[str, str, str], _Part] = {}
    for call in record.calls:
        key = (call.charge.subtask_id or "–", call.charge.purpose, call.charge.model)
        _add(parts.setdefault(key, _Part()), call)
    if not parts:
        return None
    columns = ("SUBTASK", "PURPOSE", "ANSWERS", "CACHED", "FAILED", "IN", "OUT", "THINKING", "COST", "MODEL")
    rows = [
        (subtask, purpose, *_numbers(part), one_line(model, 200))
        for (subtask, purpose, model), part in parts.items()
    ]
    return plain_table(columns, rows, folded="MODEL")


def _add(part: _Part, call: CallRecord) -> None:
    part.usage = part.usage.plus(call.usage or ModelUsage())
    part.failed += call.state == "failed"
    part.unsettled += call.state == "charged"


def _numbers(part: _Part) -> tuple[str, ...]:
    usage = part.usage
    failed = f"{part.failed:,}" + (f" + {part.unsettled:,} unknown" if part.unsettled else "")
    counts = (usage.input_tokens, usage.output_tokens, usage.thinking_tokens)
    return (
        f"{usage.answers:,}",
        f"{usage.cached:,}",
        failed,
        *(f"{one:,}" for one in counts),
        money(usage.cost_usd),
    )


def _unanswered(calls: Iterable[CallRecord]) -> list[str]:
    states = [call.state for call in calls]
    ends: dict[CallState, str] = {
        "refused": "put off by a rate limit",
        "failed": "failed",
        "charged": "without a known end",
    }
    return [
        f"{counted(number, 'request')} {end}" for state, end in ends.items() if (number := states.count(state))
    ]


def _models(models: tuple[str, ...]) -> list[str]:
    more = len(models) - SHOWN_MODELS
    shown = [one_line(model, 80) for model in models[:SHOWN_MODELS]]
    return [*shown, f"and {counted(more, 'more model')}"] if more > 0 else shown
