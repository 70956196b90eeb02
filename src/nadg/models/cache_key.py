"""The name under which an answer is kept: a hash of everything that it depends on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from nadg.models.call import ModelCall

_VERSION = 1
"""Raise it when the same call is put to a model in other words, so that old answers no longer count."""


def cache_key(model: str, call: ModelCall, *, run_id: str = "") -> str:
    """SHA-256, in hex, of what is asked and of whom. With a `run_id` the answer is only for that run."""
    asked: dict[str, object] = {
        "version": _VERSION,
        "model": model,
        "instructions": call.instructions,
        "turns": [[turn.role, turn.text] for turn in call.turns],
        "schema": call.output_schema,
        "max_output_tokens": call.max_output_tokens,
        "run": run_id,
    }
    return hashlib.sha256(canonical_json(asked).encode("utf-8", "surrogatepass")).hexdigest()


def canonical_json(value: Mapping[str, object]) -> str:
    """The same text for equal values, whatever the order of their keys."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
