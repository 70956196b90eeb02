"""What `--plan`, `--input` and `--out` name: files that exist, names that do not clash, a folder that is free."""

from __future__ import annotations

import os
import tempfile
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


def check_plan_file(given: Path) -> None:
    """Raises UserError, saying what stands there instead, unless it is a file."""
    if given.is_dir():
        raise UserError(f"--plan: {str(given)!r} is a folder; name a plan file in it")
    if given.exists() and not given.is_file():
        raise UserError(f"--plan: {str(given)!r} is no regular file; name a plan file")
    if not given.exists():
        raise UserError(f"--plan: there is no file {str(given)!r}{_where_looked(given)}")


def _where_looked(path: Path) -> str:
    """An absolute path is looked for nowhere but there."""
    return "; check the path" if path.is_absolute() else f" (looked in {Path.cwd()})"


def _files_of(given: Path) -> list[Path]:
    path = given.expanduser()
    if path.is_file():
        return [path]
    if not path.exists():
        raise UserError(f"--input: there is no file or folder {str(given)!r}{_where_looked(path)}")
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
    try:
        if folder is not None and wanted.is_file():
            raise UserError(f"--out: {str(folder)!r} is a file; name a new or an empty folder")
        if folder is not None and wanted.is_dir() and any(wanted.iterdir()):
            raise UserError(f"--out: the folder {str(folder)!r} is not empty; name a new or an empty one")
        _try_out(wanted.absolute())
    except OSError as error:
        raise UserError(
            f"--out: the folder {str(wanted)!r} cannot be made ({error.strerror}); name another one"
        ) from error
    return None if folder is None else wanted


def _try_out(wanted: Path) -> None:
    """Make folders of these names in the place, and take them away: rights alone do not tell of every refusal.

    Raises UserError, or the system's OSError.
    """
    nearest = next(one for one in (wanted, *wanted.parents) if one.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise UserError(f"--out: cannot write in {str(nearest)!r}; name another folder")
    with tempfile.TemporaryDirectory(prefix=".nadg-", dir=nearest) as trial:
        (Path(trial) / wanted.relative_to(nearest)).mkdir(parents=True, exist_ok=True)


def default_out_folder(run_id: str) -> Path:
    """Where a run's files go when the user names no place."""
    return DEFAULT_OUT / run_id
