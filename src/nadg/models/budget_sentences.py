"""What a user is told whose budget does not allow another request."""

from __future__ import annotations

from nadg.models.call import Wanted
from nadg.models.spending import Spending, cost_usd, shortest_answer


def no_room(spending: Spending, wanted: Wanted) -> str:
    """What the budget is, what is spent of it, what is needed and how to allow more."""
    budget, needed = spending.budget, wanted.input_tokens + shortest_answer(wanted)
    if budget.tokens is not None and budget.tokens - spending.spent_tokens < needed:
        return (
            f"the run's budget of {budget.tokens:,} tokens has no room for another request to {wanted.model}: "
            f"{spending.spent_tokens:,} are spent and it takes {needed:,} at least; "
            "allow more with --budget-tokens"
        )
    dear = cost_usd(wanted, shortest_answer(wanted)) or 0.0
    return (
        f"the run's budget of ${_dollars(budget.usd or 0.0)} has no room for another request to {wanted.model}: "
        f"${_dollars(spending.spent_usd)} is spent and it takes ${_dollars(dear)} at least; "
        "allow more with --budget-usd"
    )


def no_price(model: str) -> str:
    """A budget in dollars, and a model that nobody knows the price of."""
    return (
        f"the price of {model} is not known, so a budget in dollars cannot be kept; "
        "give --budget-tokens instead of --budget-usd"
    )


def _dollars(amount: float) -> str:
    """To the cent, or to the millionth where there is less than a dollar."""
    return f"{amount:,.2f}" if amount >= 1 or amount == 0 else f"{amount:.6f}".rstrip("0").rstrip(".")
