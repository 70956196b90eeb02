"""What the code of attempts runs in, as one hash: where it is equal, equal work gives equal results.

Into it go Python, the platform with its C library, every installed distribution with its version, and the
source text of the skills and of what calls them: whoever writes a skill changes it more often than its version.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import nadg.sandbox
import nadg.skills
from nadg import __version__

_DISTRIBUTION_ENDINGS = (".dist-info", ".egg-info")


def environment_sha256(skills: Iterable[Callable[..., object]], path: Sequence[str] | None = None) -> str:
    """The hash; `skills` are the functions of the installed skills, `path` is where modules are found.

    Reads file names and source text, and imports nothing: some 5 ms. Called once, when a worker starts.
    """
    document = {
        "python": [platform.python_implementation(), platform.python_version(), sys.implementation.cache_tag],
        "platform": [platform.system(), platform.machine(), *platform.libc_ver()],
        "nadg": __version__,
        "distributions": distributions(sys.path if path is None else path),
        "sources": {name: _sha256(files) for name, files in sorted(_sources(skills).items())},
    }
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def distributions(path: Iterable[str]) -> list[str]:
    """Names and versions, as the folders that installers leave beside the code are called.

    Reading them as `importlib.metadata` does, file by file, takes many times as long.
    """
    found: set[str] = set()
    for place in dict.fromkeys(path):
        try:
            found.update(one.name for one in Path(place).iterdir() if one.name.endswith(_DISTRIBUTION_ENDINGS))
        except OSError:  # a place on the path need not be there, nor be a folder
            continue
    return sorted(found)


def _sources(skills: Iterable[Callable[..., object]]) -> dict[str, list[Path]]:
    """Source files by outermost package, or by module where it is in none."""
    found = {package.__name__: files_below(Path(package.__path__[0])) for package in (nadg.sandbox, nadg.skills)}
    for name in {function.__module__ for function in skills}:
        if name.startswith("nadg."):
            continue
        outermost, module = sys.modules.get(name.partition(".")[0]), sys.modules.get(name)
        for one in (outermost, module):  # the outermost may be a mere folder, which other packages share
            file = getattr(one, "__file__", None)
            if one is not None and file is not None:
                found[one.__name__] = files_below(Path(file).parent) if one.__package__ else [Path(file)]
                break
    return found


def files_below(folder: Path) -> list[Path]:
    """Every Python file in there, in an order that is the same everywhere."""
    return sorted(
        Path(place, name) for place, _, names in os.walk(folder) for name in names if name.endswith(".py")
    )


def _sha256(files: Iterable[Path]) -> str:
    """Of their contents, in order: where they stand differs between machines."""
    digest = hashlib.sha256()
    for file in files:
        try:
            content = file.read_bytes()
        except OSError:  # such as the lock of an editor, which is a link to nowhere
            continue
        digest.update(f"{file.name} {len(content)}\n".encode(errors="surrogateescape"))
        digest.update(content)
    return digest.hexdigest()
