"""The only door to language models: gateway, rate governor, budget, prices, cache."""
