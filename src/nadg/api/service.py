"""What the API needs of the master behind it."""

from __future__ import annotations

from typing import Protocol

import msgspec

from nadg.api.bell import Bell
from nadg.domain.blob import Blobs
from nadg.domain.master_api import CancelAnswer, DatabaseHealth, Health, Submission
from nadg.store.api import Store, StoreTrouble


class RunService(Protocol):
    """Who starts and ends runs."""

    async def submit(self, submission: Submission) -> str:
        """Plan it and start it; returns its id once it is stored, or at once where it is there already.

        Raises UserError for what cannot be carried out as asked, ModelError where no model plans it, Stopping
        while the master ends, and StoreUnavailable, which names the id, where the database does not answer for
        long. A run whose id the caller chose is then still stored later, and asking again waits for it too; any
        other is called off, since nobody could ask for it again.
        """
        ...

    def call_off(self, run_id: str) -> bool:
        """Stop one that is still being planned and is not stored; False where there is none of that whole id."""
        ...

    async def cancel(self, run_id: str, reason: str) -> CancelAnswer:
        """Ask a run to end, whoever carries it out; end it where nobody does. Raises NotFound."""
        ...

    def health(self) -> Health:
        """How the master fares, without asking the database."""
        ...


class MasterParts(msgspec.Struct, frozen=True, kw_only=True):
    """What the routes answer from."""

    service: RunService
    store: Store
    blobs: Blobs
    bell: Bell
    """Rung for each change of a run that this master carries out."""


def database_health(trouble: StoreTrouble | None) -> DatabaseHealth:
    """What keeps the database from answering, as callers read it."""
    if trouble is None:
        return DatabaseHealth()
    return DatabaseHealth(reachable=False, reason=trouble.reason, since=trouble.since, tries=trouble.tries)
