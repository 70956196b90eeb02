"""Skills that read sentences."""
