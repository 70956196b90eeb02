"""The same sandbox started by an ordinary user, without any capability, as in a container."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

_MAIN = """
import asyncio, json, os, sys
from pathlib import Path
from nadg.domain.limits import Limits
from nadg.sandbox import Policy, Request, Sandbox
from nadg.sandbox.layers import privileges
from nadg.sandbox.readable import readable_paths
from nadg.sandbox.reach import make_reachable

root = Path(sys.argv[1])
paths = readable_paths()
make_reachable(4711, (*paths.whole, *paths.listed, sys.base_prefix + "/bin"), str(root))
os.chown(root, 4711, 4711)
privileges.become(4711)
privileges.give_up_for_good()

async def main():
    found = {}
    async with Sandbox(Policy(zygotes={"lean": ()}), root, None) as sandbox:
        found["tier"], found["mounts"] = sandbox.tier.value, sandbox.report.private_mounts
        async def run(name, source, **more):
            ending = await sandbox.run(Request(attempt_id=name, source=source, **more), lambda *_: None)
            found[name] = [ending.kind, ending.reason, json.loads(ending.result.inline) if ending.result else None]
        (root / "input").write_text("given")
        (root / "secret").write_text("secret")
        await run("uid", "import os; result = [os.getuid(), os.getgroups(), open(inputs['a']).read()]",
                  inputs={"a": root / "input"})
        await run("shared", "open(inputs['a'], 'a')", inputs={"a": root / "input"})
        await run("secret", f"open({str(root / 'secret')!r})")
        await run("proc", "import os; open(f'/proc/{os.getppid()}/environ')")
        await run("kill", "import os; os.kill(os.getppid(), 9)")
        await run("fork", "import os; os.fork()")
        await run("socket", "import socket; socket.socket()")
        await run("memory", "x = bytearray(1 << 30)", limits=Limits(memory_megabytes=128))
        await run("fine", "import tempfile, csv; tempfile.TemporaryFile(); result = 1")
    found["left"] = sorted(path.name for path in root.iterdir())
    print(json.dumps(found))

asyncio.run(main())
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="an unprivileged run of the tests shows the same by itself")
def test_everything_holds_without_privileges() -> None:
    with tempfile.TemporaryDirectory(prefix="nadg-user-") as folder:
        Path(folder).chmod(0o755)
        root = Path(folder) / "root"
        root.mkdir()
        done = subprocess.run(
            [sys.executable, "-c", _MAIN, str(root)], capture_output=True, text=True, check=False, timeout=60
        )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["tier"] == "landlock"
    assert found["mounts"] == []
    assert found["uid"] == ["succeeded", "", [4711, [], "given"]]
    assert found["fine"] == ["succeeded", "", 1]
    for name in ("shared", "secret", "proc", "kill", "fork", "socket"):
        assert found[name][0] == "failed", (name, found[name])
        assert found[name][1].startswith("PermissionError"), (name, found[name])
    assert found["memory"][:2] == ["limit", "memory limit of 128 MiB reached"]
    assert found["left"] == ["input", "secret"]
