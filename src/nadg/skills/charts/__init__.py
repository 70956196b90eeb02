"""Skills that draw."""
