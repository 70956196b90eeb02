"""What went wrong at a provider, in the words of the gateway: the one place that knows foreign exceptions.

Imports pydantic-ai, so it is imported only when a model is used.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from pydantic_ai.exceptions import (
    AgentRunError,
    ModelAuthenticationError,
    ModelConnectionError,
    ModelHTTPError,
    ModelNotFoundError,
    ModelQuotaExceededError,
    ModelRateLimitError,
    ModelRequestRejectedError,
    ModelTimeoutError,
    UserError,
)

from nadg.models.call import (
    RateLimited,
    RequestBlocked,
    RequestFailed,
    RequestRefused,
    TemporarilyDown,
)
from nadg.models.sentences import UNREACHABLE

_LONGEST_WORDS = 300
_PATH = re.compile(r"\S+://\S+|(?<!\w)/\S+")
_MODEL = re.compile(r"\bmodels?\b", re.IGNORECASE)
_WEB_PAGE = re.compile(r"\s*<(?:!doctype|html)\b", re.IGNORECASE)
_BLOCK_CODES = ("content_filter", "content_policy_violation")
_TOO_MANY_REQUESTS = 429
_OUT_OF_SERVICE = (502, 503)
"""Not 500 or 504, with which some questions are answered ever again."""
_NOT_SENT = ("pool", "connect")


def translated(error: Exception, received_tokens: int) -> RequestFailed:
    """What the failure means; `received_tokens` is how much of the answer had come before it."""
    billed = received_tokens > 0 or _was_under_way(error)
    failure = _kind_of(error, billed)
    failure.billed, failure.received_tokens = failure.billed or billed, received_tokens
    return failure


def _kind_of(error: Exception, billed: bool) -> RequestFailed:
    words = words_of(error)
    match error:
        case ModelQuotaExceededError() | ModelRateLimitError():
            return _rate_limited(error, words)
        case ModelAuthenticationError():
            return RequestRefused(words, about="key")
        case ModelNotFoundError():
            return RequestRefused(words, about="model" if _names_a_model(words) else "address")
        case ModelRequestRejectedError() if error.provider_error_code in _BLOCK_CODES:
            return RequestBlocked(words)
        case ModelRequestRejectedError() | UserError():
            return RequestRefused(words)
        case ModelTimeoutError() if error.phase not in _NOT_SENT:
            return TemporarilyDown(f"it stayed silent too long ({words})", billed=billed)
        case ModelConnectionError() if error.phase in _NOT_SENT:
            return TemporarilyDown(f"{UNREACHABLE} ({words})", for_all=True)
        case ModelConnectionError():
            return TemporarilyDown(f"the connection broke off ({words})", billed=billed)
        case ModelHTTPError():
            down = error.status_code in _OUT_OF_SERVICE and not error.in_stream
            message = f"it answered with error {error.status_code} ({words})"
            return TemporarilyDown(message, billed=billed, for_all=down)
        case _:
            return TemporarilyDown(f"its answer could not be read ({words})", billed=billed)


def _names_a_model(words: str) -> bool:
    """Whether a 404 is the API's word on a model, and not some server's on a path."""
    return bool(_MODEL.search(_PATH.sub("", words))) and "requested URL" not in words


def _was_under_way(error: Exception) -> bool:
    """Whether the request had reached the model, so that its provider may charge for it."""
    match error:
        case ModelConnectionError():
            return error.phase not in _NOT_SENT
        case ModelHTTPError():
            return error.in_stream
        case _:
            return not isinstance(error, UserError)


def _rate_limited(error: ModelQuotaExceededError | ModelRateLimitError, words: str) -> RequestFailed:
    status = error.status_code if isinstance(error, ModelHTTPError) else None
    violations = list(_violations(error.body))
    per_day = any("PerDay" in _text(one, "quotaId") for one in violations)
    if isinstance(error, ModelQuotaExceededError) and not per_day:
        # Credit that is used up, or billing that is not set up: no wait helps, and no day's end.
        return RequestRefused(words, about="key")
    if status not in (None, _TOO_MANY_REQUESTS):
        return TemporarilyDown(f"it answered with error {status} ({words})")
    telling = [one for one in violations if ("PerDay" in _text(one, "quotaId")) is per_day]
    first = telling[0] if telling else {}
    return RateLimited(
        words,
        # Beside a day's limit the provider names a wait of seconds all the same: it would be in vain.
        retry_after=None if per_day else error.retry_after,
        per_day=per_day,
        limit=_number(_text(first, "quotaValue")),
        counts=_counted(first),
    )


def _counted(violation: dict[str, object]) -> Literal["requests", "tokens"]:
    named = _text(violation, "quotaMetric") + _text(violation, "quotaId")
    return "tokens" if "token" in named.lower() else "requests"


def _violations(body: object) -> Iterator[dict[str, object]]:
    """Every quota that the error's QuotaFailure names."""
    for detail in _dicts(_at(_at(body, "error"), "details")):
        yield from _dicts(detail.get("violations"))


def _dicts(value: object) -> list[dict[str, object]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _at(value: object, name: str) -> object:
    return value.get(name) if isinstance(value, dict) else None


def _text(value: dict[str, object], name: str) -> str:
    found = value.get(name)
    return found if isinstance(found, str) else str(found) if isinstance(found, int) else ""


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else None


def words_of(error: Exception) -> str:
    """What the provider itself says, in one short line."""
    body = getattr(error, "body", None)
    said = (
        _at(_at(body, "error"), "message")
        or _at(body, "message")
        or _at(body, "error")
        or _at(body, "detail")
        or body
    )
    own = error.message if isinstance(error, AgentRunError | UserError) else str(error)
    text = said if isinstance(said, str) and said else own
    if _WEB_PAGE.match(text):
        return "it answered with a web page"
    line = re.sub(r"\s+", " ", text).strip().rstrip(".") or type(error).__name__
    return line if len(line) <= _LONGEST_WORDS else line[: _LONGEST_WORDS - 1] + "…"
