"""The folder a user gets: `answer.md`, `artifacts/SUBTASK/…` and `run.json`, the proof of what ran where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from nadg.domain.blob import Blobs
from nadg.domain.errors import UserError
from nadg.domain.run import AttemptRecord, RunRecord, ShardRecord, SubtaskRecord
from nadg.orchestrator.answer import compose_answer
from nadg.orchestrator.spending import spending_document, usage_document
from nadg.orchestrator.unpack import artifact_paths, unpack_artifacts
from nadg.orchestrator.values import read_value


def run_document(run: RunRecord, blobs: Blobs) -> dict[str, Any]:
    """The content of `run.json`, as plain JSON data."""
    return {
        "id": run.id,
        "command": run.command,
        "state": str(run.state),
        "reason": run.reason,
        "planner": run.planner,
        "parent": run.parent or None,
        "forked_from": run.options.forked_from or None,
        "created_at": run.created_at.isoformat(),
        "finished_at": run.finished_at.isoformat() if run.finished_at else None,
        "inputs": {file.name: file.blob.sha256 for file in run.inputs},
        "answer": compose_answer(run, blobs),
        **spending_document(run),
        "subtasks": [_subtask(run, one, blobs) for one in run.subtasks],
    }


def export_run(run: RunRecord, folder: Path, blobs: Blobs) -> dict[str, Any]:
    """Write the folder, and return the content of its `run.json`. Existing files of these names are replaced.

    Raises UserError where the folder cannot be written.
    """
    document = run_document(run, blobs)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for subtask in run.subtasks:
            unpack_artifacts(subtask, folder, blobs)
        (folder / "answer.md").write_text(document["answer"], encoding="utf-8")
        encoded = msgspec.json.format(msgspec.json.encode(document), indent=2)
        (folder / "run.json").write_bytes(encoded + b"\n")
    except OSError as error:
        raise UserError(
            f"--out {folder}: cannot write there ({error.strerror}); name a writable folder"
        ) from error
    return document


def _subtask(run: RunRecord, record: SubtaskRecord, blobs: Blobs) -> dict[str, Any]:
    spec = run.plan.subtask(record.id)
    result = msgspec.json.decode(read_value(record.result, blobs)) if record.result else None
    paths = artifact_paths(record)
    return {
        "id": record.id,
        "title": spec.name,
        "kind": spec.work.kind,
        "needs": list(spec.needs),
        "state": str(record.state),
        "reason": record.reason,
        "result": result,
        "artifacts": [
            {
                "name": file.name,
                "path": paths[file.name],
                "sha256": file.blob.sha256,
                "size": file.blob.size,
            }
            for file in record.artifacts
        ],
        "shards": [_shard(shard) for shard in record.shards],
    }


def _shard(shard: ShardRecord) -> dict[str, Any]:
    return {
        "index": shard.index,
        "state": str(shard.state),
        "reason": shard.reason,
        "attempts": [_attempt(attempt) for attempt in shard.attempts],
    }


def _attempt(attempt: AttemptRecord) -> dict[str, Any]:
    receipt = attempt.outcome.receipt if attempt.outcome else None
    return {
        "id": attempt.id,
        "worker": attempt.worker,
        "state": str(attempt.state),
        "reason": attempt.reason,
        "detail": attempt.outcome.detail if attempt.outcome else "",
        "notes": list(attempt.outcome.notes) if attempt.outcome else [],
        "started_at": attempt.started_at.isoformat() if attempt.started_at else None,
        "finished_at": attempt.finished_at.isoformat() if attempt.finished_at else None,
        "exit_code": receipt.exit_code if receipt else None,
        "sandbox_tier": str(receipt.sandbox_tier) if receipt and receipt.sandbox_tier else None,
        "code_sha256": receipt.code_sha256 if receipt else None,
        "input_sha256s": dict(receipt.input_sha256s) if receipt else {},
        "cpu_seconds": receipt.cpu_seconds if receipt else None,
        "max_rss_bytes": receipt.max_rss_bytes if receipt else None,
        "environment": receipt.environment if receipt else None,
        "reused_from": (receipt.reused_from or None) if receipt else None,
        "model_usage": usage_document(receipt.model_usage) if receipt and receipt.model_usage else None,
    }
