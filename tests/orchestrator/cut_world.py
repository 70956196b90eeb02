"""A run whose master may die at any commit, with workers that outlive it: all in memory, in an order by chance.

What is stored is kept by the model that the real store is tested against; it refuses every illegal move.
"""

from __future__ import annotations

import datetime
import hashlib
import random
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

import msgspec

from nadg.domain import changes as ch
from nadg.domain import commands as cmd
from nadg.domain import events as ev
from nadg.domain.assignment import Items, Merge, Piece, Whole
from nadg.domain.blob import Value
from nadg.domain.outcome import Outcome, OutcomeKind, Receipt
from nadg.domain.plan import Plan, Subtask
from nadg.domain.run import NewRun, RunOptions, RunRecord
from nadg.domain.skill import SkillSpec
from nadg.domain.states import is_final
from nadg.domain.tier import Tier
from nadg.orchestrator.decide import decide
from nadg.orchestrator.progress import RunProgress, SubtaskProgress, create_progress
from nadg.orchestrator.recovery import recovered_progress
from nadg.store import StoredEvent
from tests.store.model_run import ModelRun

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
SKILLS = {"m.merge": SkillSpec(name="m.merge", summary="", maps_over="files", merges=True)}
PLAN_EVENTS = (ch.ShardsAdded, ch.SubtaskRedefined, ch.PlanSettled, ch.CodeChanged)


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What is carried out: subtasks that are planned one by one, the plan that counts, and what goes wrong."""

    begun: tuple[Subtask, ...]
    final: Plan
    options: RunOptions
    lost: float = 0.0
    """How likely an attempt is lost rather than finished, and how likely each is gone when a master is."""
    slow: float = 0.0
    """How likely an attempt that has begun is found slow at each step."""
    cancel: ev.CancelRequested | None = None
    cancel_at: int = 0
    """Before which turn."""
    window: int = 1000

    @property
    def planning(self) -> bool:
        return self.begun != self.final.subtasks


@dataclass(slots=True)
class Held:
    """An attempt at a worker."""

    outcome: Outcome
    begun: bool = False
    finished: bool = False


@dataclass(slots=True)
class Mailbox:
    """What a master has heard and not decided on; it dies with its master."""

    events: list[ev.Event] = field(default_factory=list)


class CutWorld:
    """Drives one run to its end. Its master dies at the turns in `cuts`, and the next one goes on.

    `look` is shown the progress of a master that died after a commit, and that of the next one.
    """

    def __init__(
        self,
        scene: Scene,
        seed: int,
        cuts: Collection[int] = (),
        look: Callable[[RunProgress, RunProgress], None] = lambda *_: None,
    ) -> None:
        self.scene, self.random, self.cuts, self.look = scene, random.Random(seed), cuts, look
        plan = Plan(subtasks=scene.begun[:1]) if scene.planning else scene.final
        self.store = ModelRun(
            NewRun(id="r", command="", planner="", plan=plan, options=scene.options, planning=scene.planning), NOW
        )
        self.store.take("m", NOW)
        self.run = create_progress(
            "r", plan, scene.options, SKILLS, planning=scene.planning, max_in_flight=scene.window
        )
        self.mailbox = Mailbox([ev.RunStarted()])
        self.script: list[ev.Event] = []
        if scene.planning:
            self.script = [ev.SubtasksPlanned(subtasks=(one,)) for one in scene.begun[1:]]
            self.script.append(ev.PlanFinished(plan=scene.final))
        self.grid: dict[str, Held] = {}
        self.sent: set[str] = set()
        self.cancel_noted = False
        self.turns = 0

    def drive(self) -> RunRecord:
        for _ in range(20_000):
            if is_final(self.store.state):
                return self.store.record(NOW)
            self.step()
        raise AssertionError("the run did not end")

    def step(self) -> None:
        """A worker moves on, the plan grows, or the master takes a turn."""
        if self.scene.cancel is not None and self.turns == self.scene.cancel_at:
            self.mailbox.events.append(self.scene.cancel)
        busy = [attempt for attempt, held in self.grid.items() if not held.finished]
        if busy and (self.random.random() < 0.5 or not self.mailbox.events):
            self.advance(self.random.choice(busy))
        told = any(isinstance(one, ev.SubtasksPlanned | ev.PlanFinished) for one in self.mailbox.events)
        if self.script and not told and (not (busy or self.mailbox.events) or self.random.random() < 0.1):
            self.mailbox.events.append(self.script.pop(0))
        if not any(isinstance(one, ev.AttemptSlow) for one in self.mailbox.events):
            slow = [one for one in self.run.started if self.random.random() < self.scene.slow]
            self.mailbox.events.extend(ev.AttemptSlow(attempt_id=one) for one in slow)
        if self.mailbox.events:
            self.turn()
        else:
            assert busy or self.script, "the run hangs"

    def turn(self) -> None:
        """Decide a few events, store what follows, act; or die in the midst of that."""
        events = self.next_events()
        dies, self.turns = self.turns in self.cuts, self.turns + 1
        asked = [one for one in events if isinstance(one, ev.CancelRequested) and not one.failed]
        self.cancel_noted = self.cancel_noted or bool(asked)
        decisions = [decide(self.run, event) for event in events]
        if dies and self.random.random() < 0.2:
            self.succeed(stored=False)
            return
        changes = [change for made in decisions for change in made.changes]
        self.store.commit(changes, NOW)
        for change in changes:
            if isinstance(change, ch.AttemptChanged) and is_final(change.state):
                self.grid.pop(change.attempt_id, None)
        commands = [command for made in decisions for command in made.commands]
        for command in commands[: self.random.randint(0, len(commands)) if dies else None]:
            self.carry_out(command)
        if dies and not is_final(self.store.state):
            self.succeed(stored=True)

    def next_events(self) -> list[ev.Event]:
        """A few, in any order; but a master's very first comes first."""
        box = self.mailbox.events
        first = [box.pop(0)] if isinstance(box[0], (ev.RunStarted, ev.RunResumed)) else []
        count = self.random.randint(1, 3) - len(first)
        return first + [box.pop(self.random.randrange(len(box))) for _ in range(min(count, len(box)))]

    def succeed(self, *, stored: bool) -> None:
        """The master is dead, some workers with it; another one goes on."""
        for attempt in list(self.grid):
            if self.random.random() < self.scene.lost:
                del self.grid[attempt]
        record = msgspec.structs.replace(self.store.record(NOW), cancel_requested=self.cancel_noted)
        plan_events = [event for event in self.store.events if isinstance(event.change, PLAN_EVENTS)]
        found = self.recovered(record, plan_events)
        if stored:
            self.look(self.run, found)
        self.run = found
        self.mailbox = Mailbox([ev.RunResumed()])
        if self.cancel_noted and self.scene.cancel is not None:
            self.mailbox.events.append(self.scene.cancel)
        self.script = [ev.PlanFinished(plan=self.scene.final)] if found.planning else []

    def recovered(self, record: RunRecord, plan_events: list[StoredEvent]) -> RunProgress:
        found = recovered_progress(record, plan_events, SKILLS)
        found.max_in_flight = self.scene.window
        return found

    # -- what follows from commands

    def carry_out(self, command: cmd.Command) -> None:
        box = self.mailbox.events
        match command:
            case cmd.PrepareShards(subtask_id=one, definition=at):
                pieces = pieces_of(self.run.subtasks[one].spec)
                box.append(ev.ShardsPrepared(subtask_id=one, pieces=pieces, definition=at))
            case cmd.GatherResult(subtask_id=one, definition=at) if self.run.subtasks[one].definition == at:
                box.append(
                    ev.ResultGathered(subtask_id=one, result=gathered(self.run.subtasks[one]), definition=at)
                )
            case cmd.MendCode(subtask_id=one, code=code):
                box.append(ev.CodeMended(subtask_id=one, of_code=code, code=mended(code)))
            case cmd.ComposeAnswer():
                box.append(ev.AnswerComposed(text="composed"))
            case cmd.Dispatch(attempt_id=attempt):
                assert attempt not in self.sent, "nothing is sent twice"
                self.sent.add(attempt)
                self.place(attempt, command)
            case cmd.AdoptAttempt(attempt_id=attempt, worker=worker):
                self.adopt(attempt, worker, command)
            case cmd.CancelAttempt(attempt_id=attempt):
                if attempt in self.grid and not self.grid[attempt].finished:
                    del self.grid[attempt]
                    box.append(lost(attempt, "cancelled"))
            case _:
                pass

    def place(self, attempt: str, command: cmd.Dispatch | cmd.AdoptAttempt) -> None:
        self.grid[attempt] = Held(outcome_of(self.run, command.subtask_id, command.shard_index))

    def adopt(self, attempt: str, worker: str, command: cmd.AdoptAttempt) -> None:
        held = self.grid.get(attempt)
        if held is None and worker:
            self.mailbox.events.append(lost(attempt, "nobody has it"))
        elif held is None:
            self.place(attempt, command)
        elif held.begun:
            self.mailbox.events.append(ev.AttemptStarted(attempt_id=attempt, worker="w", at=NOW))
            if held.finished:
                self.mailbox.events.append(ev.AttemptFinished(attempt_id=attempt, outcome=held.outcome))

    def advance(self, attempt: str) -> None:
        """An attempt begins, ends or is lost at its worker."""
        held, box = self.grid[attempt], self.mailbox.events
        if self.random.random() < self.scene.lost:
            del self.grid[attempt]
            box.append(lost(attempt, "gone"))
        elif not held.begun:
            held.begun = True
            box.append(ev.AttemptStarted(attempt_id=attempt, worker="w", at=NOW))
        else:
            held.finished = True
            box.append(ev.AttemptFinished(attempt_id=attempt, outcome=held.outcome))


def pieces_of(spec: Subtask) -> tuple[Piece, ...]:
    if spec.foreach is None:
        return (Whole(),)
    items = spec.foreach.items or ()
    return tuple(Items(first=at, count=1, values=Value(inline=f"[{at}]".encode())) for at in range(len(items)))


def mended(code: str) -> str:
    """Code `V N` raises until it was mended N times."""
    version, _, bad = code.partition(" ")
    return f"{version} {max(0, int(bad) - 1)}"


def gathered(subtask: SubtaskProgress) -> Value:
    if subtask.merge_index is not None:
        part = subtask.shards[subtask.merge_index].part
        assert part is not None
        return part.result
    return hashed(*(str(shard.part) for shard in subtask.current_shards))


def outcome_of(run: RunProgress, subtask_id: str, index: int) -> Outcome:
    """What comes of a shard; its result tells of everything that went in."""
    subtask = run.subtasks[subtask_id]
    version, _, bad = subtask.code.partition(" ")
    if bad and int(bad):
        return outcome("failed", reason=f"item {index}: Error: still {bad}")
    piece = str(subtask.shards[index].piece)
    if isinstance(subtask.shards[index].piece, Merge):
        piece = str([shard.part for shard in subtask.shards[subtask.first_shard : index]])
    needs = [str(run.subtasks[need].result) for need in subtask.spec.needs]
    return outcome("succeeded", hashed(subtask_id, version, piece, *needs))


def outcome(kind: OutcomeKind, result: Value | None = None, reason: str = "") -> Outcome:
    receipt = Receipt(
        worker="w",
        sandbox_tier=Tier.LANDLOCK,
        code_sha256="",
        input_sha256s={},
        started_at=NOW,
        finished_at=NOW,
        exit_code=0,
    )
    return Outcome(kind=kind, receipt=receipt, result=result, reason=reason, detail="Traceback" if reason else "")


def lost(attempt: str, reason: str) -> ev.AttemptLost:
    return ev.AttemptLost(attempt_id=attempt, worker="w", reason=reason, at=NOW)


def hashed(*parts: str) -> Value:
    return Value(inline=f'"{hashlib.sha256("|".join(parts).encode()).hexdigest()[:12]}"'.encode())
