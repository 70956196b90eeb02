"""What came of an attempt, and the proof of it."""

from __future__ import annotations

import datetime
from typing import Literal

import msgspec

from nadg.domain.blob import FileRef, Value
from nadg.domain.model_calls import ModelUsage
from nadg.domain.tier import Tier

OutcomeKind = Literal["succeeded", "failed", "limit", "cancelled", "crashed"]
"""`failed`: the code raised, exited or gave no JSON: its own fault, not tried again.
`limit`: it broke a limit; not tried again. `crashed`: the worker's or the sandbox's fault; tried elsewhere.
"""


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """Where and how an attempt ran, what went in, and what it used."""

    worker: str
    sandbox_tier: Tier | None
    """None where no code ran: the prompt work of a language model."""
    code_sha256: str
    input_sha256s: dict[str, str]
    """Input or `needs` name to the hash of its content."""
    started_at: datetime.datetime
    finished_at: datetime.datetime
    exit_code: int | None = None
    """As a shell gives it: 128 + signal where a signal ended it; None where it never ran."""
    cpu_seconds: float = 0.0
    max_rss_bytes: int = 0
    skill_version: str | None = None
    model_usage: ModelUsage | None = None
    """What language models took; only for prompt work."""
    environment: str = ""
    """The worker's environment, see WorkerInfo."""
    reused_from: str = ""
    """The attempt whose outcome this is: equal work in an equal environment was not done again."""

    @property
    def ran(self) -> bool:
        """Whether a process was made for it: not where it was over while it waited, or taken from elsewhere."""
        return self.exit_code is not None and not self.reused_from


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """The end of an attempt. `reason` is one sentence, empty when it succeeded."""

    kind: OutcomeKind
    receipt: Receipt
    reason: str = ""
    detail: str = ""
    """The traceback of the user's code, shortened, for people."""
    result: Value | None = None
    per_item: bool = False
    """Whether `result` is a list with one entry per item or row of the shard."""
    artifacts: tuple[FileRef, ...] = ()
    stdout_tail: str = ""
    stderr_tail: str = ""
    notes: tuple[str, ...] = ()
    """Things worth telling: a file that was not collected and why, output that was cut."""

    def blobs(self) -> dict[str, int]:
        """Every blob it refers to, SHA-256 to size."""
        found = {file.blob.sha256: file.blob.size for file in self.artifacts}
        if self.result is not None and self.result.blob is not None:
            found[self.result.blob.sha256] = self.result.blob.size
        return found
