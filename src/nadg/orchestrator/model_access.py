"""What a run needs to use language models: the door, and the account that pays."""

from __future__ import annotations

import msgspec

from nadg.models.call import Account, Door

DEFAULT_CONCURRENCY = 16


class ModelAccess(msgspec.Struct, frozen=True, kw_only=True):
    """Given to a run where a model is configured."""

    door: Door
    account: Account
    concurrency: int = DEFAULT_CONCURRENCY
    """How many questions of its prompt work may be under way at a time."""
