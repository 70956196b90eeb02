"""What a run has language models do: prompt work, mending of code, the answer. Each ends in an event."""

from __future__ import annotations

from collections.abc import Callable

from nadg.domain import commands as cmd
from nadg.domain import events as ev
from nadg.domain.blob import Blobs
from nadg.domain.clock import Clock
from nadg.domain.errors import BudgetSpent, NadgError
from nadg.domain.plan import Subtask
from nadg.orchestrator.composer import compose_by_model
from nadg.orchestrator.mender import mend_code
from nadg.orchestrator.model_access import ModelAccess
from nadg.orchestrator.progress import RunProgress
from nadg.orchestrator.prompt_engine import PromptEngine

Post = Callable[[ev.Event], None]


class ModelWork:
    """One run's use of language models."""

    def __init__(self, access: ModelAccess, command: str, blobs: Blobs, clock: Clock, post: Post) -> None:
        self._access, self._command, self._blobs, self._post = access, command, blobs, post
        self.prompts = PromptEngine(access, blobs, clock, on_budget_spent=self._stop)

    async def mend(self, subtask: Subtask, command: cmd.MendCode) -> None:
        """Ends in CodeMended or MendingFailed."""
        event: ev.Event
        try:
            code = await mend_code(self._access, subtask, command)
            event = ev.CodeMended(subtask_id=subtask.id, of_code=command.code, code=code)
        except NadgError as error:
            if isinstance(error, BudgetSpent):
                self._stop(str(error))
            event = ev.MendingFailed(subtask_id=subtask.id, of_code=command.code, reason=str(error))
        self._post(event)

    async def compose(self, run: RunProgress) -> None:
        """Ends in AnswerComposed. A run whose work is done does not fail for want of words about it."""
        try:
            text = await compose_by_model(run, self._command, self._access, self._blobs)
        except (NadgError, OSError) as error:
            self._access.account.notice(f"the answer is not a model's, but the last result itself: {error}")
            text = ""
        self._post(ev.AnswerComposed(text=text))

    def _stop(self, reason: str) -> None:
        """The budget is spent: a hard stop, which keeps what is done."""
        self._post(ev.CancelRequested(reason=reason, failed=True))
