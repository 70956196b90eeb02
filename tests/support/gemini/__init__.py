"""An imitation of the Gemini REST API over real HTTP on loopback, for tests and benchmarks.

`async with GeminiImitation(script) as gemini` or `with run_in_thread(GeminiImitation(script)) as gemini`, then
point a client at `gemini.url`. As a process of its own: `python -m tests.support.gemini --script FILE.json`.
"""

from tests.support.gemini.answers import (
    Answer,
    BlockPrompt,
    BreakOff,
    DropConnection,
    Fail,
    Hang,
    RateLimit,
    Say,
    Truncate,
    tokens_in,
)
from tests.support.gemini.quota import Quota
from tests.support.gemini.requests import Request
from tests.support.gemini.script import Script, by_rule, script_from_file, scripted
from tests.support.gemini.server import GeminiImitation, run_in_thread

__all__ = [
    "Answer",
    "BlockPrompt",
    "BreakOff",
    "DropConnection",
    "Fail",
    "GeminiImitation",
    "Hang",
    "Quota",
    "RateLimit",
    "Request",
    "Say",
    "Script",
    "Truncate",
    "by_rule",
    "run_in_thread",
    "script_from_file",
    "scripted",
    "tokens_in",
]
