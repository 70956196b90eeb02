"""What tokens cost, from the genai-prices tables; a price that is not known is said to be unknown."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from nadg.domain.model_names import parse_model
from nadg.models.configuration import ModelSettings, is_loopback

if TYPE_CHECKING:
    from genai_prices.types import ModelPrice, PriceCalculation

TOKENS_PER_PRICE = 1_000_000


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """The most that one token can cost, in US dollars: of tiered prices the highest."""

    input_usd_per_token: float
    output_usd_per_token: float
    """Thinking tokens cost the same."""


FREE = Price(input_usd_per_token=0.0, output_usd_per_token=0.0)


class PriceList:
    """Prices as they stand at a time; `free` are the providers whose server runs on this very machine."""

    def __init__(self, *, free: frozenset[str] = frozenset(), unknown: frozenset[str] = frozenset()) -> None:
        """`unknown` are the providers whose server is somebody else's, whatever its models are called."""
        self._free, self._unknown = free, unknown

    def price_of(self, model: str, at: datetime.datetime | None = None) -> Price | None:
        """The bound for a token of this model; None where it is not known."""
        provider = model.partition(":")[0]
        if provider in self._free:
            return FREE
        return None if provider in self._unknown else price_of(model, at)

    def cost(
        self, model: str, *, input_tokens: int, output_tokens: int, at: datetime.datetime | None = None
    ) -> float | None:
        """What a request cost, in US dollars; None where the price is not known."""
        provider = model.partition(":")[0]
        if provider in self._free:
            return 0.0
        if provider in self._unknown:
            return None
        return cost(model, input_tokens=input_tokens, output_tokens=output_tokens, at=at)


def price_list(settings: ModelSettings) -> PriceList:
    """OpenAI's prices are not those of another server, and one on this machine costs nothing."""
    if settings.openai_base_url is None:
        return PriceList()
    own = frozenset({"openai"})
    return PriceList(free=own) if is_loopback(settings.openai_base_url) else PriceList(unknown=own)


def price_of(model: str, at: datetime.datetime | None = None) -> Price | None:
    """The bound for a token at the provider itself; None where the tables do not know the model."""
    found = _calculate(model, 1, 1, at)
    if found is None:
        return None
    highest_in, highest_out = (_highest(found.model_price, unit) for unit in ("input_mtok", "output_mtok"))
    if highest_in is None or highest_out is None:
        return None
    return Price(
        input_usd_per_token=float(highest_in / TOKENS_PER_PRICE),
        output_usd_per_token=float(highest_out / TOKENS_PER_PRICE),
    )


def cost(
    model: str, *, input_tokens: int, output_tokens: int, at: datetime.datetime | None = None
) -> float | None:
    """What a request cost at the provider, in US dollars, thinking among `output_tokens`; None: not known."""
    found = _calculate(model, input_tokens, output_tokens, at)
    return None if found is None else float(found.total_price)


def _calculate(
    model: str, input_tokens: int, output_tokens: int, at: datetime.datetime | None
) -> PriceCalculation | None:
    from genai_prices import Usage, calc_price

    try:
        name = parse_model(model)
        usage = Usage(input_tokens=input_tokens, output_tokens=output_tokens)
        return calc_price(usage, name.name, provider_id=name.provider, genai_request_timestamp=at)
    except (LookupError, ValueError):
        return None


def _highest(prices: ModelPrice, unit: str) -> Decimal | None:
    """The price of the dearest tier, for a million tokens."""
    price: object = getattr(prices, unit, None)
    if price is None or isinstance(price, Decimal):
        return price
    tiers: list[Decimal] = [getattr(price, "base"), *(tier.price for tier in getattr(price, "tiers"))]  # noqa: B009
    return max(tiers)
