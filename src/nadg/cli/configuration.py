"""Settings from the environment and `.env`, with one clear sentence where a value is unfit."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from nadg.cli.render.safe import one_line
from nadg.domain.errors import UserError

if TYPE_CHECKING:
    from nadg.settings import Settings

SHOWN = {
    "GOOGLE_API_KEY": "GOOGLE_API_KEY",
    "GEMINI_API_KEY": "GEMINI_API_KEY",
    "OPENAI_API_KEY": "OPENAI_API_KEY",
    "NADG_OPENAI_BASE_URL": "NADG_OPENAI_BASE_URL or OPENAI_BASE_URL",
}
"""Variables that go by the names of model providers, as users know them."""


def read_settings() -> Settings:
    """The settings of this process, after a word about variables that are none.

    Raises UserError, naming each variable, where a value is unfit.
    """
    from pydantic import ValidationError

    from nadg.settings import Settings, unknown_variables

    try:
        for name, meant in unknown_variables().items():
            hint = f"did you mean {meant}?" if meant else "it is ignored;"
            print(f"nadg: there is no setting {one_line(name)}; {hint} see docs/SETTINGS.md", file=sys.stderr)
        return Settings()
    except UnicodeDecodeError:
        raise UserError("the file .env in this folder is not UTF-8 text; save it as UTF-8, or move it") from None
    except ValidationError as error:
        raise UserError("; ".join(_sentence(one["loc"], one["msg"]) for one in error.errors())) from None


def _sentence(location: tuple[int | str, ...], message: str) -> str:
    """Names the variable. Its value, which may be a secret, is shown only where our own check quotes it."""
    message = message.removeprefix("Value error, ")
    name = "_".join(str(part) for part in location).upper() or "a setting"
    variable = SHOWN.get(name, name if name.startswith("NADG_") else f"NADG_{name}")
    return f"{variable}: {message[:1].lower()}{message[1:]}; see docs/SETTINGS.md"
