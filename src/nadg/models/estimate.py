"""How many tokens a request will have, before anyone has counted them: rather too many than too few.

Measured with the tokenizer of Gemma 3: every digit is a token of its own, so that a table of numbers has two
tokens for three characters where English has one for four or five.
"""

from __future__ import annotations

import math
import string

from nadg.models.cache_key import canonical_json
from nadg.models.call import ModelCall

TOKENS_PER_SIGN = 1.0
"""Digits, punctuation and line ends. Two signs may be one token, as `))` is."""
TOKENS_PER_LETTER = 0.3
"""Letters and spaces."""
TOKENS_PER_OTHER_BYTE = 0.5
"""Of what is not ASCII: at least one token for a Chinese character (three bytes) or an accented letter."""
TOKENS_PER_TURN = 8
"""What frames a turn: its role and separators."""
TOKENS_PER_CALL = 32

_LETTERS = (string.ascii_letters + " ").encode()
_OTHER = bytes(range(128, 256))


def estimate_tokens(text: str) -> int:
    """How many tokens the text has at most, in all likelihood; 0 for none."""
    data = text.encode("utf-8", "surrogatepass")
    letters, other = _count(data, _LETTERS), _count(data, _OTHER)
    signs = len(data) - letters - other
    return math.ceil(signs * TOKENS_PER_SIGN + letters * TOKENS_PER_LETTER + other * TOKENS_PER_OTHER_BYTE)


def estimate_input(call: ModelCall) -> int:
    """How many tokens the whole question has: instructions, conversation and schema."""
    schema = "" if call.output_schema is None else canonical_json(call.output_schema)
    texts = [call.instructions, schema, *(turn.text for turn in call.turns)]
    return sum(map(estimate_tokens, texts)) + TOKENS_PER_CALL + TOKENS_PER_TURN * len(call.turns)


def _count(data: bytes, kind: bytes) -> int:
    return len(data) - len(data.translate(None, kind))
