"""What language models took: one line for a run, and a table of what each part of it took."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from rich.table import Table

from nadg.cli.render.safe import one_line
from nadg.cli.render.tables import plain_table
from nadg.cli.render.units import counted
from nadg.domain.model_calls import CallCharge, CallRecord, ModelUsage, usage_of
from nadg.domain.run import RunRecord

PRICE_UNKNOWN = "price unknown"
SHOWN_MODELS = 4
LEAST_USD = 0.0001
"""Less is not told exactly."""
FREE = "free"


class _Part(msgspec.Struct, kw_only=True):
    """Calls for one purpose of one subtask to one model, added up."""

    usage: ModelUsage = ModelUsage()
    failed: int = 0
    unsettled: list[CallCharge] = []
    """What is set aside for requests of which no end is known."""


def usage_line(record: RunRecord) -> str | None:
    """The closing line of a run; None where no model was asked."""
    return calls_line(record.calls)


def calls_line(calls: Sequence[CallRecord]) -> str | None:
    """`Models: 14 answers (3 cached), 21,034 tokens in, 4,120 out, $0.0031, …`; None where there are no calls."""
    if not calls:
        return None
    usage = usage_of(calls)
    cached = f" ({usage.cached:,} cached)" if usage.cached else ""
    thinking = f" ({usage.thinking_tokens:,} thinking)" if usage.thinking_tokens else ""
    out = usage.output_tokens + usage.thinking_tokens
    facts = [
        counted(usage.answers, "answer") + cached,
        f"{usage.input_tokens:,} tokens in",
        f"{out:,} out{thinking}",
        _cost(usage),
        *_unanswered(calls),
        *_models(usage.models),
    ]
    return f"Models: {', '.join(facts)}"


def money(usd: float | None) -> str:
    """US dollars, to a hundredth of a cent where they are few; `price unknown` for None."""
    if usd is None:
        return PRICE_UNKNOWN
    if 0 < usd < LEAST_USD:
        return f"less than ${LEAST_USD}"
    return f"${usd:,.4f}" if usd < 1 else f"${usd:,.2f}"


def usage_table(record: RunRecord) -> Table | None:
    """A line for each subtask, purpose and model, in order of first use; None where no model was asked."""
    parts: dict[tuple[str, str, str], _Part] = {}
    for call in record.calls:
        key = (call.charge.subtask_id or "–", call.charge.purpose, call.charge.model)
        _add(parts.setdefault(key, _Part()), call)
    if not parts:
        return None
    columns = ["SUBTASK", "PURPOSE", "ANSWERS", "CACHED", "FAILED", "IN", "OUT", "THINKING", "COST", "MODEL"]
    rows = [
        [subtask, purpose, *_numbers(part), one_line(model, 200)]
        for (subtask, purpose, model), part in parts.items()
    ]
    if any(part.unsettled for part in parts.values()):
        columns.insert(-1, "SET ASIDE")
        for row, part in zip(rows, parts.values(), strict=True):
            row.insert(-1, _set_aside(part.unsettled) if part.unsettled else "–")
    return plain_table(columns, rows, folded="MODEL")


def _add(part: _Part, call: CallRecord) -> None:
    part.usage = part.usage.plus(call.usage or ModelUsage())
    part.failed += call.state == "failed"
    if call.state == "charged":
        part.unsettled.append(call.charge)


def _numbers(part: _Part) -> tuple[str, ...]:
    usage = part.usage
    failed = f"{part.failed:,}" + (f" + {len(part.unsettled):,} unknown" if part.unsettled else "")
    counts = (usage.input_tokens, usage.output_tokens, usage.thinking_tokens)
    return (
        f"{usage.answers:,}",
        f"{usage.cached:,}",
        failed,
        *(f"{one:,}" for one in counts),
        _cost(usage).replace("less than ", "<"),
    )


def _unanswered(calls: Sequence[CallRecord]) -> list[str]:
    failed = sum(call.state == "failed" for call in calls)
    unsettled = [call.charge for call in calls if call.state == "charged"]
    refused = sum(call.state == "refused" for call in calls)
    facts = [f"{counted(refused, 'request')} put off by a rate limit"] if refused else []
    facts += [f"{counted(failed, 'request')} failed"] if failed else []
    if unsettled:
        facts.append(
            f"{counted(len(unsettled), 'request')} without a known end (set aside: {_set_aside(unsettled)})"
        )
    return facts


def _set_aside(charges: Sequence[CallCharge]) -> str:
    """`900 tokens, $0.0100`: counts as spent, though less may have been."""
    known = [one.cost_usd for one in charges if one.cost_usd is not None]
    tokens = counted(sum(one.tokens for one in charges), "token")
    return f"{tokens}, {money(sum(known) if len(known) == len(charges) else None)}"


def _cost(usage: ModelUsage) -> str:
    """Answers that cost nothing came from a model on this machine, or out of the cache."""
    return FREE if usage.answers and usage.cost_usd == 0 else money(usage.cost_usd)


def _models(models: tuple[str, ...]) -> list[str]:
    more = len(models) - SHOWN_MODELS
    shown = [one_line(model, 80) for model in models[:SHOWN_MODELS]]
    return [*shown, f"and {counted(more, 'more model')}"] if more > 0 else shown
