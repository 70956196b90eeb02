"""What the imitation can answer: each kind is a frozen struct, and a script picks one for each request.

The same structs are the values of a script file (see `rules`), so an unknown field in one is refused.
"""

from __future__ import annotations

from typing import Literal

import msgspec

CHARACTERS_PER_TOKEN = 4
"""The rule by which the imitation counts tokens, rounded up: the provider's own rule of thumb for English."""

OVERLOADED = "The model is overloaded. Please try again later."
CODES = {
    400: "INVALID_ARGUMENT",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


class Say(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A reply, streamed in chunks of `chunk` characters, at `tokens_per_second` if that is set.

    `thoughts` are thinking tokens: they take their time before the first chunk and use up `maxOutputTokens`, as
    they do at the provider. Without streaming the whole time passes before the answer.
    """

    text: str
    chunk: int = 12
    tokens_per_second: float | None = None
    thoughts: int = 0
    finish: str = "STOP"


class Fail(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An error of the API; `code` is the word that goes with the HTTP status, by default the usual one."""

    status: int
    code: str = ""
    message: str = "An internal error has occurred."
    details: tuple[dict[str, object], ...] = ()


class RateLimit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A 429 for the requests per minute or per day.

    `retry_seconds` None leaves out RetryInfo; `detailed` False leaves out every detail, which happens too, and
    then nothing tells a day's quota from a minute's.
    """

    per: Literal["minute", "day"] = "minute"
    retry_seconds: float | None = 26
    limit: int = 60
    detailed: bool = True


class BlockPrompt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """HTTP 200 without candidates: the prompt itself was refused."""

    reason: str = "SAFETY"


class Truncate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The first `at` characters of a reply, ended by MAX_TOKENS."""

    text: str
    at: int
    chunk: int = 12
    tokens_per_second: float | None = None


class BreakOff(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An error event in mid-stream, after so many characters; without streaming, the plain error."""

    text: str
    after: int
    status: int = 503
    message: str = OVERLOADED
    chunk: int = 12
    tokens_per_second: float | None = None


class DropConnection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The connection closes after so many characters of the reply, with no end of the body."""

    text: str
    after: int
    chunk: int = 12


class Hang(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Silence until the client goes away or the server stops; in a stream, after `text`, if there is one."""

    text: str = ""
    chunk: int = 12


Answer = Say | Fail | RateLimit | BlockPrompt | Truncate | BreakOff | DropConnection | Hang


def tokens_in(text: str) -> int:
    """How many tokens the imitation says a text has."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)
