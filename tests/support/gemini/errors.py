"""The bodies of the API's errors, as the provider words them."""

from __future__ import annotations

from tests.support.gemini.answers import CODES, Fail, RateLimit

_TYPES = "type.googleapis.com/google.rpc."
_SERVICE = "generativelanguage.googleapis.com"
Json = dict[str, object]


class ApiError(Exception):
    """A request that the API refuses, with what it answers."""

    def __init__(self, fail: Fail) -> None:
        super().__init__(fail.message)
        self.fail = fail


def error_body(fail: Fail) -> Json:
    """`{"error": …}`, for a response or for an event in mid-stream."""
    code = fail.code or CODES.get(fail.status, "UNKNOWN")
    error: Json = {"code": fail.status, "message": fail.message, "status": code}
    if fail.details:
        error["details"] = list(fail.details)
    return {"error": error}


def missing_key() -> Fail:
    """No key at all is 403, where a wrong one is 400."""
    text = (
        "Method doesn't allow unregistered callers (callers without established identity). "
        "Please use API Key or other form of API consumer identity to call this API."
    )
    return Fail(403, message=text)


def bad_key() -> Fail:
    """A key that the API does not know: 400 with a reason, never 401."""
    text = "API key not valid. Please pass a valid API key."
    info: Json = {"@type": _TYPES + "ErrorInfo", "reason": "API_KEY_INVALID", "domain": "googleapis.com"}
    info["metadata"] = {"service": _SERVICE}
    local: Json = {"@type": _TYPES + "LocalizedMessage", "locale": "en-US", "message": text}
    return Fail(400, message=text, details=(info, local))


def unknown_model(model: str, version: str) -> Fail:
    """A model that this version of the API does not serve."""
    text = (
        f"models/{model} is not found for API version {version}, or is not supported for generateContent. "
        "Call ListModels to see the list of available models and their supported methods."
    )
    return Fail(404, message=text)


def unknown_field(name: str, place: str) -> Fail:
    """A field that the message at `place` (empty for the whole body) does not have."""
    where = f" at '{place}'" if place else ""
    text = f'Invalid JSON payload received. Unknown name "{name}"{where}: Cannot find field.'
    violation: Json = {"description": text}
    if place:
        violation["field"] = place
    return Fail(400, message=text, details=({"@type": _TYPES + "BadRequest", "fieldViolations": [violation]},))


def rate_limited(limit: RateLimit, model: str) -> Fail:
    """The 429 of the free tier: which quota, for which model, and when to come again."""
    metric = f"{_SERVICE}/generate_content_free_tier_requests"
    text = (
        "You exceeded your current quota, please check your plan and billing details. For more information on "
        "this error, head to: https://ai.google.dev/gemini-api/docs/rate-limits.\n"
        f"* Quota exceeded for metric: {metric}, limit: {limit.limit}, model: {model}"
    )
    if not limit.detailed:
        return Fail(429, message="Resource has been exhausted (e.g. check quota).")
    violation: Json = {
        "quotaMetric": metric,
        "quotaId": f"GenerateRequestsPer{limit.per.title()}PerProjectPerModel-FreeTier",
        "quotaDimensions": {"location": "global", "model": model},
        "quotaValue": str(limit.limit),
    }
    details: tuple[Json, ...] = ({"@type": _TYPES + "QuotaFailure", "violations": [violation]},)
    if limit.retry_seconds is not None:
        text += f"\nPlease retry in {limit.retry_seconds:g}s."
        details += ({"@type": _TYPES + "RetryInfo", "retryDelay": f"{limit.retry_seconds:g}s"},)
    return Fail(429, message=text, details=details)
