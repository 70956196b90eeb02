"""What is asked of a language model and what it answers: the words that everyone here shares."""

from __future__ import annotations

from typing import Any, Literal, Protocol

import msgspec

from nadg.domain.model_calls import ModelUsage, Purpose, Settlement, StoredAnswer

DEFAULT_OUTPUT_TOKENS = 8192


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """One text of a conversation."""

    role: Literal["user", "model"]
    text: str


class ModelCall(msgspec.Struct, frozen=True, kw_only=True):
    """One question. Everything that the answer may depend on stands in it, so it is also the cache's key."""

    purpose: Purpose
    instructions: str = ""
    """What the model is told to be and to do; never holds text of inputs or results."""
    turns: tuple[Turn, ...]
    """The conversation so far; the last turn is the user's."""
    output_schema: dict[str, Any] | None = None
    """JSON Schema of the answer; plain text without one."""
    max_output_tokens: int = DEFAULT_OUTPUT_TOKENS
    """Thinking included."""
    model: str | None = None
    """Ask this model and no other; None: those that the settings name for the purpose."""
    anew: bool = False
    """Only answers that the very run was given before count, whatever its account says."""
    subtask_id: str = ""
    """For whose work it is asked; only for the record."""


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """The whole answer and what it took, failed requests on the way included."""

    text: str
    model: str
    """Who answered, such as `google:gemini-3.5-flash-lite`."""
    usage: ModelUsage
    key: str = ""
    """What it is kept under for the next time; empty where it is not kept."""
    cut_off: str = ""
    """For a text that ends early: at how many tokens it was cut off and what to do, in words."""


class TextSink(Protocol):
    """Who reads an answer while it is written. Plain calls on the event loop, which must not block."""

    def text(self, piece: str) -> None: ...

    def restart(self) -> None:
        """What came so far counts no more: the answer begins anew, perhaps from another model."""
        ...


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """A request that is about to be sent, at the most that it can come to."""

    purpose: Purpose
    model: str
    subtask_id: str = ""
    input_tokens: int
    """Estimated, rather too many than too few."""
    max_output_tokens: int
    input_usd_per_token: float | None
    """None where the price is not known."""
    output_usd_per_token: float | None


class Granted(msgspec.Struct, frozen=True, kw_only=True):
    """Leave to send it. The budget may allow a shorter answer only."""

    charge_id: str
    max_output_tokens: int
    shortened_by: str = ""
    """The option of the budget that made it shorter than was wanted, such as `--budget-usd`."""


class Account(Protocol):
    """On whose behalf a call is made: a run, its budget and the record of what it spent."""

    @property
    def run_id(self) -> str: ...

    @property
    def use_cache(self) -> bool:
        """False: only answers that this very run was given before count."""
        ...

    def notice(self, text: str) -> None:
        """Tell the user something in one sentence: a wait, a fallback."""
        ...

    async def charge(self, wanted: Wanted) -> Granted:
        """Set aside what it may cost, durably; waits while requests under way may leave room for it.

        Raises BudgetSpent where the budget has no room, or where it is in dollars and the price is not known.
        """
        ...

    async def settle(self, charge_id: str, state: Settlement, usage: ModelUsage, reason: str = "") -> None:
        """Put what it really took in place of what was set aside."""
        ...

    async def answered_from_cache(self, call: ModelCall, answer: StoredAnswer) -> None:
        """Note an answer that no request was needed for."""
        ...


class Door(Protocol):
    """What planning and the orchestrator see of the gateway."""

    async def ask(self, call: ModelCall, account: Account, sink: TextSink | None = None) -> Reply:
        """The answer; waits for rate limits, tries again what may work, falls back to other models.

        With a `sink` the answer is streamed to it. Raises ModelUnavailable, ModelRefused, ContentBlocked,
        AnswerUnfit where the answer was cut off, BudgetSpent.
        """
        ...

    async def reject(self, reply: Reply) -> None:
        """Its text turned out to be of no use: the same question shall not be answered with it again."""
        ...

    def serves(self, model: str) -> bool:
        """Whether this model, such as `google:gemini-3.8-flash`, is configured to be asked."""
        ...


class ClientReply(msgspec.Struct, frozen=True, kw_only=True):
    """What one request brought."""

    text: str
    input_tokens: int
    output_tokens: int
    thinking_tokens: int = 0
    truncated: bool = False
    """Cut off at `max_output_tokens`."""


class ModelClient(Protocol):
    """One provider's API: sends one request, once. Everything else is the gateway's."""

    async def exchange(
        self, model: str, call: ModelCall, max_output_tokens: int, sink: TextSink | None
    ) -> ClientReply:
        """Send it to the model of that name (without its provider). Raises RequestFailed and its kinds."""
        ...


class RequestFailed(Exception):
    """A request brought no answer. `received_tokens` is how much of it had come, estimated.

    RequestFailed
    ├── RateLimited        too many requests for now, or for today
    ├── TemporarilyDown    overloaded, unreachable, timed out, broken off: the same may work soon
    ├── RequestRefused     never will: key, model name, request
    └── RequestBlocked     a content filter
    """

    def __init__(self, message: str, *, billed: bool = False, received_tokens: int = 0) -> None:
        super().__init__(message)
        self.billed = billed
        """Whether the provider may charge for it all the same."""
        self.received_tokens = received_tokens


class RateLimited(RequestFailed):
    """`retry_after` seconds where the provider said so; `limit` is the number that it named, if it did."""

    def __init__(
        self,
        message: str,
        *,
        retry_after: float | None = None,
        per_day: bool = False,
        limit: int | None = None,
        counts: Literal["requests", "tokens"] = "requests",
    ) -> None:
        super().__init__(message)
        self.retry_after, self.per_day, self.limit, self.counts = retry_after, per_day, limit, counts


class TemporarilyDown(RequestFailed):
    """Worth another try. `for_all`: of any question to this model, not only of this one."""

    def __init__(
        self, message: str, *, billed: bool = False, received_tokens: int = 0, for_all: bool = False
    ) -> None:
        super().__init__(message, billed=billed, received_tokens=received_tokens)
        self.for_all = for_all


Blame = Literal["key", "model", "address", "request"]
"""`address`: there is something else than the provider's API."""


class RequestRefused(RequestFailed):
    """`about` says what is at fault."""

    def __init__(self, message: str, *, about: Blame = "request") -> None:
        super().__init__(message)
        self.about = about


class RequestBlocked(RequestFailed):
    """By a content filter, before or while the answer was written."""
