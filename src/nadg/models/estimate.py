"""How many tokens a request will have, before anyone has counted them: rather too many than too few."""

from __future__ import annotations

import math

from nadg.models.call import ModelCall

ASCII_CHARACTERS_PER_TOKEN = 3.0
"""Tokenizers make one token of about four characters of English and of about three of code and JSON."""
OTHER_BYTES_PER_TOKEN = 2.0
"""Of what is not ASCII: at least one token for a Chinese character (three bytes) or an accented letter."""
TOKENS_PER_TURN = 8
"""What frames a turn: its role and separators."""
TOKENS_PER_CALL = 32


def estimate_tokens(text: str) -> int:
    """How many tokens the text has at most, in all likelihood; 0 for none."""
    ascii_count = sum(map(str.isascii, text)) if not text.isascii() else len(text)
    other_bytes = len(text.encode("utf-8", "surrogatepass")) - ascii_count
    return math.ceil(ascii_count / ASCII_CHARACTERS_PER_TOKEN + other_bytes / OTHER_BYTES_PER_TOKEN)


def estimate_input(call: ModelCall) -> int:
    """How many tokens the whole question has: instructions, conversation and schema."""
    from nadg.models.cache_key import canonical_json

    schema = "" if call.output_schema is None else canonical_json(call.output_schema)
    texts = [call.instructions, schema, *(turn.text for turn in call.turns)]
    return sum(map(estimate_tokens, texts)) + TOKENS_PER_CALL + TOKENS_PER_TURN * len(call.turns)
