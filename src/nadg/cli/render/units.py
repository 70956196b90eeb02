"""Times, sizes and counts as people read them."""

from __future__ import annotations

import datetime


def duration(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3 min 05 s`, `2 h 07 min`."""
    if seconds < 10:
        return f"{max(seconds, 0):.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def counted(count: int, noun: str) -> str:
    """`1 shard`, `2 shards`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def moment(when: datetime.datetime | None) -> str:
    """A time in UTC to the second, or a dash."""
    return when.astimezone(datetime.UTC).strftime("%Y-%m-%d %H:%M:%S") if when else "–"


def ago(when: datetime.datetime | None, now: datetime.datetime) -> str:
    """`3 s ago`, `12 min ago`, `5 h ago`, `2 days ago`; a dash for never; a moment to come counts as now."""
    if when is None:
        return "–"
    seconds = max(int((now - when).total_seconds()), 0)
    for unit, longest, length in (("s", 120, 1), ("min", 7200, 60), ("h", 172_800, 3600)):
        if seconds < longest:
            return f"{seconds // length} {unit} ago"
    return f"{seconds // 86_400} days ago"


def size(count: int) -> str:
    """`812 B`, `4.0 kB`, `12.3 MB` (powers of 1,000)."""
    if count < 1000:
        return f"{count} B"
    value = float(count)
    for unit in ("kB", "MB", "GB"):
        value /= 1000
        if value < 1000:
            return f"{value:.1f} {unit}"
    return f"{value / 1000:.1f} TB"
