"""Files of any name through everything: made by one subtask, given to the next, exported, recorded."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import msgspec

from nadg.bootstrap.grid import open_grid
from nadg.bootstrap.quiet import QuietWatcher
from nadg.domain.file_names import bytes_of_name, name_of_bytes
from nadg.domain.run import RunOptions
from nadg.settings import Settings

NAMES = (
    b"plain.txt",
    b"bytes \xff\xfe.txt",
    b"\\xff",
    b"\\x5cxff",
    b"two\nlines\t\x1b[2J",
    b"CON",
    b"nul.txt",
    b"dot.",
    b"space ",
    b"Twin.txt",
    b"twin.TXT",
    "é".encode(),
    "e\u0301".encode(),
    b'a:b|c?d*e<f>g"h\\i',
    "gpj.\u202eexe".encode(),
    b"-rf",
    b"%41",
    b"x" * 255,
    b"\xff" * 255,
    b"deep/" * 50 + b"er\xff/file",
)
MAKE = f"""
import os
names = {NAMES!r}
for name in names:
    if b"/" in name:
        os.makedirs(os.path.dirname(name), exist_ok=True)
    with open(name, "wb") as file:
        file.write(name)
result = len(names)
"""
READ = """
import os
found = []
for folder, _, files in os.walk(os.fsencode(needs_files["make"])):
    for file in files:
        path = os.path.join(folder, file)
        name = os.path.relpath(path, os.fsencode(needs_files["make"]))
        with open(path, "rb") as content:
            found.append([name.hex(), content.read().hex()])
result = sorted(found)
"""
INPUT = "\\xff two\nlines.txt"
"""The name of an input whose first byte is no text."""
GIVEN = f"result = open(inputs[{INPUT!r}]).read()"
PLAN = {
    "goal": "names",
    "subtasks": [
        {"id": "make", "work": {"kind": "python", "code": MAKE}},
        {"id": "given", "inputs": [INPUT], "work": {"kind": "python", "code": GIVEN}},
        {"id": "read", "needs": ["make"], "work": {"kind": "python", "code": READ}},
        {"id": "report", "needs": ["make", "read"], "work": {"kind": "skill", "skill": "report.compose"}},
    ],
}


def exported(folder: Path) -> dict[str, Any]:
    """The content of run.json."""
    plan = folder / "plan.json"
    plan.write_bytes(msgspec.json.encode(PLAN))
    given = folder / os.fsdecode(bytes_of_name(INPUT))
    given.write_text("read")

    async def inside() -> None:
        async with open_grid(Settings(home=folder / "home"), workers=1) as grid:
            planned = await grid.plan(None, plan, [given])
            record = await grid.run(planned, RunOptions(), QuietWatcher())
            await grid.export(record.id, folder / "out")

    asyncio.run(inside())
    document: dict[str, Any] = json.loads((folder / "out/run.json").read_bytes())
    return document


def test_files_of_any_name_reach_the_next_subtask_and_the_user(tmp_path: Path) -> None:
    document = exported(tmp_path)
    assert document["state"] == "succeeded", document["reason"]
    make, given, read, _ = document["subtasks"]
    assert given["result"] == "read"
    assert list(document["inputs"]) == [INPUT]
    assert read["result"] == [[name.hex(), name.hex()] for name in sorted(NAMES)], "given as they were made"

    artifacts = make["artifacts"]
    assert {bytes_of_name(one["name"]) for one in artifacts} == set(NAMES)
    assert [one["name"] for one in artifacts] == sorted(name_of_bytes(name) for name in NAMES)
    assert make["shards"][0]["attempts"][0]["notes"] == []
    for one in artifacts:
        assert (tmp_path / "out" / one["path"]).read_bytes() == bytes_of_name(one["name"])
    made = tmp_path / "out/artifacts/make"
    on_disk = {os.fsencode(path.relative_to(tmp_path / "out")) for path in made.rglob("*") if path.is_file()}
    assert on_disk == {one["path"].encode() for one in artifacts}
    assert len({path.lower() for path in on_disk}) == len(NAMES)

    hashes = read["shards"][0]["attempts"][0]["input_sha256s"]
    assert {f"make/{one['name']}": one["sha256"] for one in artifacts}.items() <= hashes.items()
