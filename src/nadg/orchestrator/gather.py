"""One result and one set of artifacts for a subtask, from those of its shards."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from nadg.domain.assignment import Part
from nadg.domain.blob import Blobs, FileRef, Value
from nadg.domain.errors import UserError
from nadg.domain.plan import PromptWork
from nadg.orchestrator.progress import SubtaskProgress
from nadg.orchestrator.prompt_parts import FAILED
from nadg.orchestrator.values import encode_items, read_value


def is_single(subtask: SubtaskProgress) -> bool:
    """Whether one shard's outcome is the subtask's: no `foreach`, or a merge closed it."""
    return subtask.spec.foreach is None or subtask.merge_index is not None


def single_part(subtask: SubtaskProgress) -> Part:
    """The outcome of the only, or the merge, shard."""
    part = subtask.shards[subtask.first_shard if subtask.merge_index is None else subtask.merge_index].part
    assert part is not None
    return part


def gather_result(subtask: SubtaskProgress, blobs: Blobs) -> tuple[Value, tuple[FileRef, ...]]:
    """The result of all shards in order: item results joined into one list, one entry for a merged shard."""
    if is_single(subtask):
        part = single_part(subtask)
        return part.result, part.files
    results: list[msgspec.Raw] = []
    for shard in subtask.current_shards:
        assert shard.part is not None
        data = read_value(shard.part.result, blobs)
        if shard.per_item:
            results.extend(msgspec.json.decode(data, type=list[msgspec.Raw]))
        else:
            results.append(msgspec.Raw(data))
    if isinstance(subtask.spec.work, PromptWork):
        _refuse_nothing_but_failures(results)
    return encode_items(results, blobs), gather_artifacts(subtask)


def _refuse_nothing_but_failures(results: Sequence[msgspec.Raw]) -> None:
    """Some items without an answer are no failure of the subtask; all of them are. Raises UserError."""
    first: str | None = None
    for raw in results:
        value = msgspec.json.decode(raw)
        if not isinstance(value, dict) or set(value) != {FAILED}:
            return
        first = first or str(value[FAILED])
    if first is not None:
        raise UserError(f"none of the {len(results):,} items has an answer; the first, because {first}")


def gather_artifacts(subtask: SubtaskProgress) -> tuple[FileRef, ...]:
    """The artifacts of all shards; where two cannot stand side by side, all stand in a folder per shard."""
    parts = [(index, shard.part.files) for index, shard in enumerate(subtask.current_shards) if shard.part]
    files = [file for _, some in parts for file in some]
    if _can_stand_together([file.name for file in files]):
        return tuple(files)
    return tuple(
        FileRef(name=f"shard-{index:05d}/{file.name}", blob=file.blob) for index, some in parts for file in some
    )


def _can_stand_together(names: Sequence[str]) -> bool:
    """Whether no two have the same name and no file is called as a folder of another is."""
    files = set(names)
    folders = {folder for folder, slash, _ in (name.rpartition("/") for name in names) if slash}
    while folders:
        if not files.isdisjoint(folders):
            return False
        folders = {folder for folder, slash, _ in (name.rpartition("/") for name in folders) if slash}
    return len(files) == len(names)
