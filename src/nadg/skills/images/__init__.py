"""Skills that change pictures."""
