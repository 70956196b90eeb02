"""Skills in a process as poor as the sandbox: nothing to write but the current folder, no new processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

CONFINED = """
import os, resource, sys
gigabyte = 1 << 30
resource.setrlimit(resource.RLIMIT_AS, (2 * gigabyte, 2 * gigabyte))
def refuse(event, args):
    if event in ("subprocess.Popen", "os.fork", "os.posix_spawn", "os.system", "socket.connect", "socket.bind"):
        raise PermissionError(f"{event} is not allowed here")
    if event == "open" and isinstance(args[0], str) and args[2] & (os.O_WRONLY | os.O_RDWR):
        path = os.path.abspath(args[0])
        if not path.startswith((os.getcwd(), "/dev/null")):
            raise PermissionError(f"{path} may not be written here")
    if event in ("os.mkdir", "os.rename", "os.remove") and not os.path.abspath(args[0]).startswith(os.getcwd()):
        raise PermissionError(f"{args[0]} may not be changed here")
sys.addaudithook(refuse)
from nadg.skills.call import run_skill
examples = sys.argv[1]
calls = {"chart.scatter": "cars.csv", "table.describe": "cars.csv", "text.topics": "reviews.csv"}
for name, table in calls.items():
    run_skill(name, {}, inputs={table: f"{examples}/{table}"}, needs={}, needs_files={}, missing={})
print(*sorted(os.listdir(".")))
"""
LEFT = "correlations.csv scatter.png statistics.csv topics.csv topics.png"


def test_skills_need_no_more_than_their_folder(here: Path) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": "/nonexistent",
        "TMPDIR": "/nonexistent",
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    examples = Path(__file__).parents[2] / "examples"
    done = subprocess.run(
        [sys.executable, "-c", CONFINED, str(examples)],
        cwd=here,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == LEFT
    assert done.stderr == ""
