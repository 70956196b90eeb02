"""When a shard is tried again. Only what was not its own fault is: a lost worker, a broken sandbox."""

from __future__ import annotations


def gives_up_because(tries: int, max_attempts: int, reason: str) -> str | None:
    """Why a lost shard is not tried again, as one sentence; None while it has tries left."""
    if tries < max_attempts:
        return None
    times = "once" if tries == 1 else f"{tries} times"
    return f"lost {times}, the last time because {reason or 'its worker went away'}"
