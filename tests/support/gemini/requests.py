"""Reads a request as strictly as the API does: unknown fields, roles and settings are refused with 400."""

from __future__ import annotations

import json
import re

import msgspec

from tests.support.gemini.answers import Fail
from tests.support.gemini.errors import ApiError, Json, unknown_field


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_BODY = _names(
    "model contents tools toolConfig safetySettings systemInstruction generationConfig cachedContent store "
    "serviceTier"
)
_CONTENT = _names("parts role")
_PART = _names(
    "text inlineData fileData functionCall functionResponse executableCode codeExecutionResult toolCall "
    "toolResponse videoMetadata thought thoughtSignature partMetadata mediaResolution"
)
_GENERATION = _names(
    "stopSequences responseMimeType responseSchema responseJsonSchema responseModalities candidateCount "
    "maxOutputTokens temperature topP topK seed presencePenalty frequencyPenalty responseLogprobs logprobs "
    "enableEnhancedCivicAnswers speechConfig thinkingConfig imageConfig mediaResolution"
)
_THINKING = _names("includeThoughts thinkingBudget thinkingLevel")
_LEVELS = {"gemini-3.8-flash": _names("LOW MEDIUM HIGH")}
_ANY_LEVEL = _names("MINIMAL LOW MEDIUM HIGH")


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One accepted request. The key is in none of its fields.

    `number` counts from 0 in the order in which requests reached the script; `at` is the imitation's clock then.
    `contents` are (role, text) pairs in order; `thinking` and `raw` have their fields in camelCase.
    """

    number: int
    at: float
    model: str
    version: str
    stream: bool
    system: str
    contents: tuple[tuple[str, str], ...]
    json_schema: dict[str, object] | None
    max_output_tokens: int | None
    thinking: dict[str, object] | None
    raw: dict[str, object]

    @property
    def text(self) -> str:
        """All texts of the user, joined by newlines."""
        return "\n".join(text for role, text in self.contents if role == "user")


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """What the address of a request says."""

    version: str
    model: str
    stream: bool


def read_request(body: bytes, target: Target, *, number: int, at: float) -> Request:
    """The request, or ApiError with what the API would answer."""
    raw = _fields(_parsed(body), _BODY, "")
    system = raw.get("systemInstruction")
    generation = _fields(raw.get("generationConfig", {}), _GENERATION, "generation_config")
    return Request(
        number=number,
        at=at,
        model=target.model,
        version=target.version,
        stream=target.stream,
        system=_content(system, "system_instruction")[1] if system is not None else "",
        contents=_contents(raw.get("contents")),
        json_schema=_schema(generation),
        max_output_tokens=_max_output_tokens(generation),
        thinking=_thinking(generation, target.model),
        raw=raw,
    )


def _refuse(message: str) -> ApiError:
    return ApiError(Fail(400, message=message))


def _parsed(body: bytes) -> object:
    try:
        parsed: object = json.loads(body)
    except ValueError as error:
        raise _refuse(f"Invalid JSON payload received. {error}") from error
    return parsed


def _camel(name: str) -> str:
    return re.sub(r"_([a-z])", lambda match: match[1].upper(), name)


def _fields(value: object, known: frozenset[str], place: str) -> Json:
    """The fields of a message under their camelCase names; both spellings are taken, no others."""
    if not isinstance(value, dict):
        raise _refuse(f"Invalid value at '{place or 'body'}': expected an object.")
    fields = {_camel(str(name)): one for name, one in value.items()}
    for name in value:
        if _camel(name) not in known:
            raise ApiError(unknown_field(name, place))
    return fields


def _contents(value: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, list) or not value:
        raise _refuse("* GenerateContentRequest.contents: contents is not specified\n")
    return tuple(_content(one, f"contents[{index}]") for index, one in enumerate(value))


def _content(value: object, place: str) -> tuple[str, str]:
    fields = _fields(value, _CONTENT, place)
    role = fields.get("role", "user")
    if role not in ("user", "model"):
        raise _refuse("Please use a valid role: user, model.")
    parts = fields.get("parts")
    if not isinstance(parts, list) or not parts:
        raise _refuse(f"* GenerateContentRequest.{place}.parts: contents.parts must not be empty.\n")
    texts = [_fields(part, _PART, f"{place}.parts[{index}]").get("text", "") for index, part in enumerate(parts)]
    return str(role), "\n".join(str(text) for text in texts if text)


def _schema(generation: Json) -> Json | None:
    both = [
        generation[name] for name in ("responseJsonSchema", "responseSchema") if generation.get(name) is not None
    ]
    if len(both) > 1:
        raise _refuse("response_schema and response_json_schema cannot both be set.")
    if both and generation.get("responseMimeType") != "application/json":
        raise _refuse("response_schema is only allowed with response_mime_type application/json.")
    return dict(both[0]) if both and isinstance(both[0], dict) else None


def _max_output_tokens(generation: Json) -> int | None:
    value = generation.get("maxOutputTokens")
    if value is None:
        return None
    if not isinstance(value, int) or value < 1:
        raise _refuse(f"Unable to submit request because it has a maxOutputTokens value of {value}.")
    return value


def _thinking(generation: Json, model: str) -> Json | None:
    value = generation.get("thinkingConfig")
    if value is None:
        return None
    fields = _fields(value, _THINKING, "generation_config.thinking_config")
    level = fields.get("thinkingLevel")
    if level is not None and str(level).upper() not in _LEVELS.get(model, _ANY_LEVEL):
        raise _refuse(f"Thinking level {level} is not supported for this model.")
    return fields
