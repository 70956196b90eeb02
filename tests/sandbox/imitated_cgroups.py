"""Plain files that look like cgroups: what is written is remembered, and single files can be made to fail."""

from __future__ import annotations

from pathlib import Path

from nadg.sandbox.cgroup_home import LEAF, GroupFiles, Home
from nadg.sandbox.cgroups import SandboxGroups

BOTH = ("memory", "pids")
KERNEL_FILES = {
    "cgroup.controllers": "cpu memory pids\n",
    "cgroup.subtree_control": "",
    "cgroup.procs": "",
    "cgroup.kill": "",
    "memory.max": "max\n",
    "memory.swap.max": "max\n",
    "memory.oom.group": "0\n",
    "memory.events": "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\noom_group_kill 0\n",
    "pids.max": "max\n",
}


class ImitatedFiles(GroupFiles):
    """Does to plain files what the real one does to the kernel's."""

    def __init__(self, home: Path, *, absent: tuple[str, ...] = ()) -> None:
        self.home = home
        self.written: list[tuple[str, str]] = []
        """Each file below `home` with what was written to it, in order."""
        self.failing: dict[str, OSError] = {}
        """By name, what writing to a file raises."""
        self._absent = absent
        self._fill(home)

    def _fill(self, group: Path) -> None:
        group.mkdir(exist_ok=True)
        for name, text in KERNEL_FILES.items():
            if name not in self._absent:
                (group / name).write_text(text)

    def make(self, group: Path) -> None:
        super().make(group)
        self._fill(group)

    def write(self, group: Path, name: str, text: str) -> None:
        if name in self.failing:
            raise self.failing[name]
        super().write(group, name, text)
        self.written.append((str((group / name).relative_to(self.home)), text))

    def remove(self, group: Path) -> None:
        for name in KERNEL_FILES:
            (group / name).unlink(missing_ok=True)
        super().remove(group)

    def groups(self, controllers: tuple[str, ...] = BOTH) -> SandboxGroups:
        """A sandbox's, as if the worker were in its leaf."""
        if not (self.home / LEAF).exists():
            self.make(self.home / LEAF)
        return SandboxGroups(Home(folder=self.home, controllers=controllers), self)

    def names_written(self, name: str) -> list[str]:
        return [text for path, text in self.written if path.endswith(f"/{name}")]
