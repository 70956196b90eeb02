"""The master's HTTP API: runs are submitted, followed and ended here; a run outlives whoever asked for it."""
