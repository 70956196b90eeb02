"""Where an artifact of any name is unpacked, so that Windows, macOS and Linux all keep it as a file of its own.

A path is the artifact's name with every unsafe character percent-encoded, so it can be read back. Where two
names would be one file (`A` and `a`, composed and decomposed letters, a file and a folder of one name), all but
one get `%-2`, `%-3`, … before their ending. What would be too long stands in the folder `%long` under the begin
of its last part. Neither mark can come of an encoded name: there, two hexadecimal digits follow every `%`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

MAX_PATH_UNITS = 160
"""UTF-16 units below a subtask's folder: of the 259 that Windows allows, this leaves 25 for the folder of the
run where the subtask's id is as long as can be."""
MAX_PART_BYTES = 240
"""Of the 255 that Linux and macOS allow; a number may be added."""
LONG_FOLDER = "%long"
_LONG_LEAF_CHARACTERS = 60
_LONG_ENDING_CHARACTERS = 8
_LONG_LEAF_BYTES = 130

_UNSAFE = re.compile(r'[<>:"\\|?*%]|~(?=[0-9])')
"""What Windows forbids, the escape itself, and what could be one of the short names that Windows makes up."""
_DEVICES = {"con", "prn", "aux", "nul", "conin$", "conout$", "clock$"} | {
    f"{kind}{digit}" for kind in ("com", "lpt") for digit in "0123456789¹²³"
}

_Member = tuple[str, bool]
"""A part of a name, and whether it is a folder."""


def unpacked_paths(names: Iterable[str]) -> dict[str, str]:
    """Each name's path, relative, with `/`. The same set of names always gives the same paths.

    Never empty, absolute, with `.` or `..`, and no two are one file on any of the systems.
    """
    wanted = sorted(set(names))
    long = [name for name in wanted if not _fits(_encoded(name))]
    paths = _numbered_paths(set(wanted).difference(long))
    long += [name for name, path in paths.items() if not _fits(path)]  # by its numbers
    leaves = _numbered({(name, False): _cut_leaf(name) for name in long})
    paths.update({name: f"{LONG_FOLDER}/{leaf}" for (name, _), leaf in leaves.items()})
    return {name: paths[name] for name in wanted}


def safe_part(part: str) -> str:
    """One part of a path, encoded: a file or folder name on every system. Injective."""
    text = _UNSAFE.sub(lambda found: _percent(found[0]), part)
    if not text.isprintable():
        text = "".join(char if char.isprintable() else _percent(char) for char in text)
    if text.endswith((".", " ")):
        text = text[:-1] + _percent(text[-1])
    if text.split(".")[0].rstrip(" ").lower() in _DEVICES:
        text = _percent(text[0]) + text[1:]
    return text or "%"


def _percent(char: str) -> str:
    return "".join(f"%{byte:02X}" for byte in char.encode("utf-8", "surrogatepass"))


def _encoded(name: str) -> str:
    """The encoded path; of a name that is too long anyway only as much as shows that."""
    return "/".join(safe_part(part) for part in name[: MAX_PATH_UNITS + 1].split("/"))


def _fits(path: str) -> bool:
    if len(path) <= MAX_PATH_UNITS and path.isascii():
        return True
    units = len(path.encode("utf-16-le", "surrogatepass")) // 2
    return units <= MAX_PATH_UNITS and all(_bytes(part) <= MAX_PART_BYTES for part in path.split("/"))


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def _numbered_paths(names: Iterable[str]) -> dict[str, str]:
    """The paths of names that are short enough, with numbers where parts of one folder are alike."""
    folders: dict[str, set[_Member]] = {}
    for name in names:
        end = name.find("/")
        start = 0
        while end >= 0:
            folders.setdefault(name[:start], set()).add((name[start:end], True))
            start, end = end + 1, name.find("/", end + 1)
        folders.setdefault(name[:start], set()).add((name[start:], False))
    parts = {
        folder: _numbered({member: safe_part(member[0]) for member in members})
        for folder, members in folders.items()
    }
    return {name: _path(name, parts) for name in names}


def _path(name: str, parts: dict[str, dict[_Member, str]]) -> str:
    *folders, leaf = name.split("/")
    found, prefix = [], ""
    for folder in folders:
        found.append(parts[prefix][folder, True])
        prefix += f"{folder}/"
    return "/".join([*found, parts[prefix][leaf, False]])


def _numbered(encoded: dict[_Member, str]) -> dict[_Member, str]:
    """Of members that some system takes for one name all but the first get a number.

    First is one whose name stays as it was, and a folder before a file.
    """
    alike: dict[str, list[_Member]] = {}
    for member, part in encoded.items():
        alike.setdefault(_folded(part), []).append(member)
    for members in alike.values():
        members.sort(key=lambda member: (encoded[member] != member[0], not member[1], member[0]))
    return {
        member: _with_number(encoded[member], member[1], number)
        for members in alike.values()
        for number, member in enumerate(members, 1)
    }


def _with_number(part: str, is_folder: bool, number: int) -> str:
    if number == 1:
        return part
    stem, dot, ending = (part, "", "") if is_folder else part.rpartition(".")
    if not dot:
        stem, ending = part, ""
    return f"{stem}%-{number}{dot}{ending}"


def _folded(part: str) -> str:
    """Equal for two parts wherever any of the systems takes them for one; canonical forms make no `%` or `.`."""
    if part.isascii():
        return part.lower()
    upper = unicodedata.normalize("NFD", part).upper()
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", upper).casefold())


def _cut_leaf(name: str) -> str:
    """The begin and the ending of the last part of a long name, encoded."""
    leaf = name.rpartition("/")[2]
    stem, dot, ending = leaf.rpartition(".")
    if not dot or not stem or len(ending) > _LONG_ENDING_CHARACTERS:
        stem, dot, ending = leaf, "", ""
    kept = _LONG_LEAF_CHARACTERS
    while _bytes(part := safe_part(f"{stem[:kept]}{dot}{ending}")) > _LONG_LEAF_BYTES:
        kept //= 2
    return part
