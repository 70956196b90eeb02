"""What `--input` and `--out` name: files that exist, names that do not clash, a folder that is free."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from nadg.domain.errors import UserError

DEFAULT_OUT = Path("nadg-out")


def input_files(given: Sequence[Path]) -> tuple[Path, ...]:
    """The files that the user's `--input` options stand for; a folder stands for its own files, sorted.

    Hidden files of a folder and folders inside it are left out. Raises UserError where one is missing,
    is neither file nor folder, holds no file, or where two files would go by the same name.
    """
    files = [file for one in given for file in _files_of(one)]
    seen: dict[str, Path] = {}
    for file in files:
        other = seen.setdefault(file.name, file)
        if other.resolve() != file.resolve():
            raise UserError(f"--input: {other} and {file} have the same name {file.name!r}; rename one of them")
    return tuple(seen.values())


def _files_of(given: Path) -> list[Path]:
    path = given.expanduser()
    if path.is_file():
        return [path]
    if not path.exists():
        raise UserError(f"--input: there is no file or folder {str(given)!r} (looked in {Path.cwd()})")
    if not path.is_dir():
        raise UserError(f"--input: {str(given)!r} is neither a file nor a folder; give one of those")
    files = sorted(one for one in path.iterdir() if one.is_file() and not one.name.startswith("."))
    if not files:
        raise UserError(f"--input: the folder {str(given)!r} holds no files; name a file or another folder")
    return files


def checked_out_folder(folder: Path | None) -> Path | None:
    """The wanted folder; None stands for the default one, which needs the run's id.

    Raises UserError, before anything is run, where it could not take a run's files.
    """
    wanted = DEFAULT_OUT if folder is None else folder.expanduser()
    if folder is not None and wanted.is_file():
        raise UserError(f"--out: {str(folder)!r} is a file; name a new or an empty folder")
    if folder is not None and wanted.is_dir() and any(wanted.iterdir()):
        raise UserError(f"--out: the folder {str(folder)!r} is not empty; name a new or an empty one")
    nearest = next(one for one in (wanted.absolute(), *wanted.absolute().parents) if one.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise UserError(f"--out: cannot write in {str(nearest)!r}; name another folder")
    return None if folder is None else wanted


def default_out_folder(run_id: str) -> Path:
    """Where a run's files go when the user names no place."""
    return DEFAULT_OUT / run_id
