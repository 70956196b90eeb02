"""What a client of a master needs of this machine: the token, the plan file, and a place for what comes back."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from nadg.bootstrap.home import Home
from nadg.bootstrap.planning import new_run_id, read_plan
from nadg.domain.blob import BlobWriter
from nadg.domain.clock import SystemClock
from nadg.domain.errors import UserError
from nadg.domain.run import RunRecord
from nadg.link.blobfolder import BlobFolder
from nadg.orchestrator.answer import compose_answer
from nadg.orchestrator.export import export_run, run_document
from nadg.settings import Settings


def token_of_master(settings: Settings) -> str:
    """The secret that the master of NADG_MASTER_URL wants. Raises UserError where none is known here."""
    home = Home(settings)
    if settings.master_token is None and not home.master_token_file.exists():
        raise UserError(
            "NADG_MASTER_URL names a master, and its token is not known here; set NADG_MASTER_TOKEN to what "
            f"stands in master.token in its home folder (there is none in {home.folder})"
        )
    return home.master_token()


def fresh_run_id() -> str:
    """An id for a run that begins now; asking a master for it twice gives one run."""
    return new_run_id(SystemClock())


def plan_document(file: Path) -> dict[str, Any]:
    """What a plan file holds, not yet checked. Raises UserError where that is no document of a plan."""
    document = read_plan(file).document
    if not isinstance(document, dict):
        raise UserError(f"{file}: holds no mapping with subtasks; write a plan, see docs/PLANS.md")
    return document


class FetchedResults:
    """What came of a run, kept in this machine's blob folder, so that it can be shown and written out."""

    def __init__(self, settings: Settings) -> None:
        self._blobs = BlobFolder(Home(settings).blobs)
        self._records: dict[str, RunRecord] = {}

    def keep(self, record: RunRecord) -> list[str]:
        """Take a run that has ended; gives the blobs that are still to be fetched for it."""
        self._records[record.id] = record
        return sorted(one for one in shown_blobs(record) if not self._blobs.has(one))

    def create_blob(self) -> BlobWriter:
        """A blob about to be fetched."""
        return self._blobs.create()

    async def export(self, run_id: str, folder: Path) -> Path:
        """Write answer.md, artifacts/ and run.json. Raises UserError where the folder cannot be written."""
        await asyncio.to_thread(export_run, self._records[run_id], folder, self._blobs)
        return folder

    def run_document(self, record: RunRecord) -> dict[str, Any]:
        """The content of `run.json`."""
        return run_document(record, self._blobs)

    async def answer_text(self, record: RunRecord) -> str:
        """The answer as Markdown."""
        return await asyncio.to_thread(compose_answer, record, self._blobs)


def shown_blobs(record: RunRecord) -> frozenset[str]:
    """Results too large for a row, and artifacts: what is shown and written out of a run."""
    values = (one.result for one in record.subtasks)
    found = {value.blob.sha256 for value in values if value is not None and value.blob is not None}
    return frozenset(found | {file.blob.sha256 for one in record.subtasks for file in one.artifacts})
