"""Who plans a command: a language model where one is configured and wanted, else the built-in planner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from nadg.bootstrap.asked import HOW_TO_CONFIGURE, PlannerChoice
from nadg.domain.errors import ModelUnavailable, PlanInvalid, UserError
from nadg.domain.inputs import InputFile
from nadg.domain.plan import Plan
from nadg.domain.skill import SkillSpec
from nadg.link.blobfolder import BlobFolder
from nadg.models.call import Account, Door, ModelCall, Reply, TextSink
from nadg.planning.builtin import BuiltinPlanner
from nadg.planning.llm.planner import LlmPlanner, PlanListener
from nadg.planning.llm.small import plan_small
from nadg.planning.prompt_sizes import flaw_of_length
from nadg.planning.prompts import FlawOfModel, prompt_problems

BUILTIN = "builtin"
NOT_CONFIGURED = f"no language model is configured, so only the built-in planner is there; {HOW_TO_CONFIGURE}"


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """A plan and who made it."""

    plan: Plan
    planner: str


class _Asked:
    """A Door that remembers whether anything was asked."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self.asked = False

    async def ask(self, call: ModelCall, account: Account, sink: TextSink | None = None) -> Reply:
        self.asked = True
        return await self._door.ask(call, account, sink)

    async def reject(self, reply: Reply) -> None:
        await self._door.reject(reply)

    def serves(self, model: str) -> bool:
        return self._door.serves(model)


class Planners:
    """The planners at hand, for one choice of the user's."""

    def __init__(
        self,
        skills: Mapping[str, SkillSpec],
        blobs: BlobFolder,
        door: Door | None,
        *,
        choice: PlannerChoice,
        model: str,
        labels: Sequence[str] = (),
        small: bool = False,
        flaw_of_model: FlawOfModel = lambda _: "",
    ) -> None:
        """`model` is the one that plans, empty where none does; `choice` `auto` means a model where there is one.

        `small` asks it for no more than a small model can do; `flaw_of_model` tells why a model that a plan file
        names cannot be asked.
        """
        self.skills = skills
        self.has_model = door is not None
        """Whether plans may hold prompt work."""
        self._blobs, self._choice, self._model = blobs, choice, model
        self._door = door if model and choice != BUILTIN else None
        self._labels, self._small, self._flaw_of_model = labels, small, flaw_of_model

    def check_prompts(self, plan: Plan, inputs: Sequence[InputFile]) -> None:
        """Raises PlanInvalid where prompt work of a plan file cannot be asked as it is."""
        problems = prompt_problems(plan, self._flaw_of_model, flaw_of_length(inputs, self._head))
        if problems:
            raise PlanInvalid(problems)

    @property
    def writer(self) -> str | None:
        """The model that is asked for plans; None where none is."""
        return self._model if self._door is not None else None

    async def plan(
        self,
        command: str,
        inputs: Sequence[InputFile],
        account: Account | None,
        listener: PlanListener | None = None,
    ) -> Planned:
        """Raises UserError and the errors of `Door.ask`; where a provider is down, the built-in planner may do."""
        if self._door is None or account is None:
            if self._choice == "model":
                raise UserError(f"--planner model: {NOT_CONFIGURED}")
            return await self._builtin(command, inputs)
        try:
            return await self._by_model(self._door, command, inputs, account, listener)
        except ModelUnavailable as error:
            if self._choice == "model":
                raise
            return await self._instead(command, inputs, account, error)

    async def _by_model(
        self,
        door: Door,
        command: str,
        inputs: Sequence[InputFile],
        account: Account,
        listener: PlanListener | None,
    ) -> Planned:
        if self._small:
            return await self._by_small_model(door, command, inputs, account)
        planner = LlmPlanner(door, preview=self._head, skills=self.skills, labels=self._labels)
        plan = await planner.plan(command, inputs, account, listener)
        return Planned(plan=plan, planner=self._model)

    async def _by_small_model(
        self, door: Door, command: str, inputs: Sequence[InputFile], account: Account
    ) -> Planned:
        """The model did no more of it than it was asked: a plan of the built-in planner is that planner's."""
        asking = _Asked(door)
        plan = await plan_small(command, inputs, self.skills, asking, account)
        self.check_prompts(plan, inputs)
        return Planned(plan=plan, planner=self._model if asking.asked else BUILTIN)

    async def _instead(
        self, command: str, inputs: Sequence[InputFile], account: Account, down: ModelUnavailable
    ) -> Planned:
        try:
            planned = await self._builtin(command, inputs)
        except UserError as error:
            raise ModelUnavailable(f"{down}; and the built-in planner cannot do it: {error}") from error
        account.notice(f"{down}; the built-in planner plans instead")
        return planned

    async def _builtin(self, command: str, inputs: Sequence[InputFile]) -> Planned:
        plan = await BuiltinPlanner().plan(command, inputs, self.skills)
        return Planned(plan=plan, planner=BUILTIN)

    def _head(self, file: InputFile, most: int) -> bytes:
        with self._blobs.path(file.blob.sha256).open("rb") as content:
            return content.read(most)
