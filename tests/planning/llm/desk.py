"""What the tests of the planning model share: a desk with a scripted door and a listener that keeps subtasks."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from nadg.domain.blob import BlobRef
from nadg.domain.inputs import Column, InputFile
from nadg.domain.plan import Plan, Subtask
from nadg.models.fake_door import FakeDoor, Scripted
from nadg.planning.llm.planner import LlmPlanner, PlanListener
from nadg.skills.registry import builtin_skills
from tests.support.kept_account import KeptAccount

SKILLS = {name: one.spec for name, one in builtin_skills().items()}
BLOB = BlobRef(sha256="0" * 64, size=60)
REVIEWS = InputFile(
    name="reviews.csv",
    blob=BLOB,
    kind="table",
    columns=(Column(name="id", kind="category"), Column(name="text", kind="text")),
    rows=2,
)
CONTENT = b"id,text\n1,very good\n2,very bad\n"


class Listener:
    """Keeps what may start, in order."""

    def __init__(self) -> None:
        self.subtasks: list[Subtask] = []

    def planned(self, subtask: Subtask) -> None:
        self.subtasks.append(subtask)

    @property
    def ids(self) -> list[str]:
        return [one.id for one in self.subtasks]


class Desk:
    """A planner behind a scripted door, and all that is seen of one plan."""

    def __init__(self, *script: Scripted, piece: int = 7, content: bytes = CONTENT) -> None:
        self.door = FakeDoor(script, piece=piece)
        self.account = KeptAccount()
        self.listener = Listener()
        self.planner = LlmPlanner(self.door, preview=lambda _one, size: content[:size], skills=SKILLS)

    def plan(
        self,
        command: str = "say how people like it",
        inputs: Sequence[InputFile] = (REVIEWS,),
        listener: PlanListener | None = None,
    ) -> Plan:
        return asyncio.run(self.planner.plan(command, inputs, self.account, listener or self.listener))

    def asked(self, number: int) -> str:
        """The last text of the user in a call."""
        return self.door.calls[number].turns[-1].text


def python(
    subtask_id: str, needs: Iterable[str] = (), code: str = "result = 1", **more: object
) -> dict[str, object]:
    return {"id": subtask_id, "needs": list(needs), "work": {"kind": "python", "code": code}, **more}
