"""Skills that read and shape tables."""
