"""Which files the confined code may read: Python, its packages, the libraries they load, and little else.

A folder that holds installed packages is readable whole. Any other folder on the import path (an editable
install, a checkout) may hold anything beside its packages, so there only the packages themselves are.
"""

from __future__ import annotations

import os
import site
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

_SYSTEM: Final = (
    "/lib",
    "/lib64",
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/mime.types",
    "/usr/share/zoneinfo",
    "/usr/share/fonts",
    "/usr/share/mime",
    "/dev/urandom",
    "/dev/zero",
)
DEVICES: Final = ("/dev/null",)


class Readable(NamedTuple):
    """Paths to read with all beneath them, and folders that may only be listed; links resolved, sorted."""

    whole: tuple[str, ...]
    listed: tuple[str, ...]
    links: tuple[tuple[str, str], ...] = ()
    """Symbolic links on the way to them by their usual names, each with its target."""


def readable_paths() -> Readable:
    """What this interpreter needs, from its own import path."""
    installed = _installation_folders()
    whole, listed = {*installed, *_SYSTEM}, set[str]()
    for entry in sys.path:
        folder = os.path.realpath(entry) if entry else ""
        if folder and folder not in installed and Path(folder).is_dir() and not _within(folder, installed):
            listed.add(folder)
            whole.update(_packages_in(Path(folder)))
    whole.update(_editable_mappings())
    usual = {*_SYSTEM, *sys.path, *_library_folders(), sys.prefix, sys.base_prefix}
    return Readable(_existing(whole), _existing(listed), links_on(usual))


def links_on(paths: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Every symbolic link that is passed when these paths are opened, with its target as it stands."""
    links: dict[str, str] = {}
    to_do = [Path(path) for path in paths if path.startswith("/")]
    while to_do:
        path = to_do.pop()
        for passed in (*reversed(path.parents), path):
            if passed.is_symlink() and str(passed) not in links:
                links[str(passed)] = str(passed.readlink())
                rest = path.relative_to(passed)
                to_do.append(Path(os.path.normpath(passed.parent / links[str(passed)] / rest)))
                break
    return tuple(sorted(links.items()))


def _installation_folders() -> set[str]:
    """Standard library, site-packages and shared libraries of this environment and of the one it is based on."""
    return {os.path.realpath(folder) for folder in _library_folders()}


def _library_folders() -> set[str]:
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    folders = {sysconfig.get_path(name) for name in names}
    base = {"base": sys.base_prefix, "platbase": sys.base_exec_prefix}
    folders |= {sysconfig.get_path(name, vars=base) for name in names}
    folders |= set(site.getsitepackages())
    for prefix in {sys.prefix, sys.base_prefix}:
        if prefix not in ("/usr", "/"):
            folders |= {f"{prefix}/lib", f"{prefix}/lib64", f"{prefix}/share"}
    return {folder for folder in folders if folder}


def _within(folder: str, others: set[str]) -> bool:
    return any(folder.startswith(other + "/") for other in others)


def _packages_in(folder: Path) -> Iterator[str]:
    """Importable packages and modules directly in a folder, and the shared libraries that came with them."""
    for entry in folder.iterdir():
        is_module = entry.suffix in (".py", ".so") and entry.is_file()
        is_package = (entry / "__init__.py").is_file() or (entry.suffix == ".libs" and entry.is_dir())
        if is_module or is_package:
            yield os.path.realpath(entry)


def _editable_mappings() -> Iterator[str]:
    """Package folders that setuptools' editable finders map names to."""
    for finder in sys.meta_path:
        module = sys.modules.get(getattr(finder, "__module__", ""))
        mapping = getattr(module, "MAPPING", None)
        if isinstance(mapping, dict):
            yield from (os.path.realpath(str(path)) for path in mapping.values())


def _existing(paths: set[str]) -> tuple[str, ...]:
    """Without those that are absent or lie in another one."""
    found = {os.path.realpath(path) for path in paths if Path(path).exists()}
    return tuple(sorted(path for path in found if not _within(path, found)))
