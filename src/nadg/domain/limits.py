"""What one attempt may use. Set per subtask in a plan, capped by the worker's policy."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Upper bounds of one attempt; a breach ends it with a reason that names the limit.

    A plain dataclass, because a plan (pydantic) and a frame (msgspec) both carry it.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    wall_seconds: Annotated[float, Field(gt=0, le=86_400)] = 300
    cpu_seconds: Annotated[float, Field(gt=0, le=86_400)] = 300
    memory_megabytes: Annotated[int, Field(ge=64, le=1_048_576)] = 2048
    output_bytes: Annotated[int, Field(ge=0, le=1 << 30, description="stdout and stderr together")] = 8 << 20
    result_bytes: Annotated[int, Field(ge=64, le=1 << 30)] = 64 << 20
    artifact_bytes: Annotated[int, Field(ge=0, le=1 << 40)] = 1 << 30
    artifact_count: Annotated[int, Field(ge=0, le=1_000_000)] = 10_000
    open_files: Annotated[int, Field(ge=16, le=65_536)] = 256
    threads: Annotated[int, Field(ge=1, le=4096)] = 64

    def capped_by(self, cap: Limits) -> Limits:
        """The smaller of each pair: what a worker with policy `cap` really enforces."""
        ours, theirs = asdict(self), asdict(cap)
        return Limits(**{name: min(value, theirs[name]) for name, value in ours.items()})
