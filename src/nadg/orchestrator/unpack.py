"""The artifacts of a subtask as files of the folder that a user gets."""

from __future__ import annotations

import shutil
from pathlib import Path

from nadg.domain.blob import Blobs
from nadg.domain.run import SubtaskRecord
from nadg.domain.unpacked_paths import safe_part, unpacked_paths


def artifact_paths(record: SubtaskRecord) -> dict[str, str]:
    """Each artifact's name and where it is unpacked, as a relative path with `/`."""
    folder = f"artifacts/{safe_part(record.id)}"
    paths = unpacked_paths(file.name for file in record.artifacts)
    return {name: f"{folder}/{path}" for name, path in paths.items()}


def unpack_artifacts(record: SubtaskRecord, folder: Path, blobs: Blobs) -> None:
    """Write them below a folder; files that stand there are replaced. Raises OSError."""
    paths = artifact_paths(record)
    made: set[Path] = set()
    for file in record.artifacts:
        target = folder / paths[file.name]
        if target.parent not in made:
            target.parent.mkdir(parents=True, exist_ok=True)
            made.add(target.parent)
        target.unlink(missing_ok=True)
        shutil.copyfile(blobs.path(file.blob.sha256), target)
