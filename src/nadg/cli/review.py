"""A plan before it runs: shown in full, then approved, edited or refused by the person at the terminal."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from nadg.bootstrap.review import editable_text, edited_run, unconfined_code
from nadg.cli.approval import Approval, approval_of, require_approvable
from nadg.cli.failure import sentence_of
from nadg.cli.render.safe import printable
from nadg.cli.terminal import EditorFailed, Person
from nadg.domain.errors import UserError
from nadg.domain.tier import Tier

if TYPE_CHECKING:
    from nadg.bootstrap.planning import PlannedRun

QUESTION = "Run this plan? [y]es, [e]dit, [n]o: "
AGAIN = "The plan cannot run as it is. [e]dit again, [n]o: "
WARNING = "The code of {} was written by a language model and would run without isolation (sandbox tier none)."


class NothingEdited(Exception):
    """The editor was closed and there is no other plan; the message says why."""


class ReviewWishes(msgspec.Struct, frozen=True, kw_only=True):
    """What the user said of being asked."""

    review: bool = False
    yes: bool = False
    tier: Tier = Tier.LANDLOCK
    """The weakest sandbox that the run accepts."""


class Reviewer:
    """Asks a person about plans. `show` shows one in full, `say` prints a line of ours."""

    def __init__(self, person: Person, show: Callable[[PlannedRun], None], say: Callable[[str], None]) -> None:
        self._person, self._show, self._say = person, show, say
        self.shown: PlannedRun | None = None
        """The plan that was shown last, if one was."""

    async def reviewed(self, planned: PlannedRun, wishes: ReviewWishes) -> PlannedRun | None:
        """The plan that may run, perhaps an edited one; None where the person refused.

        Raises UserError where somebody would have to be asked, and nobody is there.
        """
        while True:
            unconfined = unconfined_code(planned, wishes.tier)
            approval = approval_of(
                review=wishes.review,
                yes=wishes.yes,
                interactive=self._person.present,
                unconfined=bool(unconfined),
            )
            require_approvable(approval, unconfined)
            if self.shown is not planned and (wishes.review or approval is Approval.ASK):
                self._show(planned)
                self.shown = planned
            if approval is Approval.GO:
                return planned
            if unconfined:
                self._say(WARNING.format(", ".join(unconfined)))
            answer = await self._answer(QUESTION, "yen")
            if answer != "e":
                return planned if answer == "y" else None
            try:
                edited = await self._edited(planned)
            except (EditorFailed, NothingEdited) as error:
                self._say(str(error))
                continue
            if edited is None:
                return None
            planned = edited

    async def edited(self, planned: PlannedRun) -> PlannedRun | None:
        """What the person makes of it in the editor, without being asked first; None where it was given up.

        Raises EditorFailed, NothingEdited, and where nobody can be asked to mend it, what is wrong with it.
        """
        return await self._edited(planned)

    async def _answer(self, question: str, letters: str) -> str:
        """One of `letters`; the end of the input counts as `n`. Asked again until it is one."""
        while True:
            typed = await self._person.ask(question)
            if typed is None:
                return "n"
            word = typed.strip().lower()
            for letter, whole in (("y", "yes"), ("e", "edit"), ("n", "no")):
                if letter in letters and word in (letter, whole):
                    return letter
            self._say(f"Answer {', '.join(letters[:-1])} or {letters[-1]}.")

    async def _edited(self, planned: PlannedRun) -> PlannedRun | None:
        """What the person made of it, once it can run; None where it was given up.

        Raises EditorFailed, and NothingEdited where the file was left as it was or emptied.
        """
        with tempfile.TemporaryDirectory(prefix="nadg-review-") as folder:  # nobody else may read in it
            file = Path(folder) / "plan.yaml"
            before = editable_text(planned)
            file.write_text(before, encoding="utf-8")
            while True:
                await self._person.edit(file)
                text = _text_of(file)
                if text == before:
                    raise NothingEdited("The file was left as it was.")
                if not text.strip():
                    raise NothingEdited("The file was emptied; the plan is as it was.")
                try:
                    return edited_run(text, planned)
                except UserError as error:
                    if not self._person.present:
                        raise
                    self._say(sentence_of(error))
                if await self._answer(AGAIN, "en") == "n":
                    return None
                before = text


def _text_of(file: Path) -> str:
    """Raises EditorFailed."""
    try:
        return file.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError:
        raise EditorFailed("the edited plan is not UTF-8 text; save it as UTF-8") from None
    except OSError as error:
        raise EditorFailed(printable(f"the edited plan cannot be read ({error.strerror})")) from error
