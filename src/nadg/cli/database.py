"""What `nadg db` does."""

from __future__ import annotations

import datetime

import msgspec

from nadg.cli.configuration import read_settings
from nadg.cli.render.units import size


async def prune(older_than: datetime.timedelta, as_json: bool) -> None:
    """Forget what is older than that, and say how much it was."""
    from nadg.bootstrap.pruning import prune

    gone = await prune(read_settings(), older_than)
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(gone), indent=2).decode())
        return
    print(
        f"Forgot {gone.runs:,} runs, {gone.model_answers:,} answers and {gone.model_calls:,} calls of models, "
        f"and {gone.blobs:,} files ({size(gone.blob_bytes)})."
    )
