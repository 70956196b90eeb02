"""Every setting of NADG: environment variables `NADG_…`, or a `.env` file in the current folder.

Only the CLI and the composition root read this; everything else is given plain values.
"""

from __future__ import annotations

import os
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    NoDecode,
    SettingsConfigDict,
)

from nadg.domain.named_limits import NamedLimits, read_limits, split_limits
from nadg.domain.tier import Tier
from nadg.domain.token import flaw_of_token

DAY_SECONDS = 86_400
"""The longest time that a setting may name; what is meant to be endless would be a run that never ends."""

NOT_OURS = ("NADG_PYTHON", "NADG_VENV", "NADG_FUZZ_FACTOR", "NADG_SECRET_TOKEN")
"""Variables of our prefix that are no settings: quick-start.sh reads the first two, the tests the others."""


class Settings(BaseSettings):
    """The settings; each is documented in docs/SETTINGS.md, units in the names."""

    model_config = SettingsConfigDict(env_prefix="NADG_", env_file=".env", env_ignore_empty=True, extra="ignore")

    home: Path = Field(
        default_factory=lambda: Path.home() / ".nadg",
        description="folder of the database, the blobs, the logs and the grid's token",
    )
    database_url: str = Field(
        default="", description="SQLAlchemy URL of the database; empty: SQLite in the home folder"
    )
    workers: int = Field(
        default_factory=lambda: os.cpu_count() or 1,
        ge=0,
        le=1024,
        description="local worker processes of `nadg up`, and of `nadg run` where no other worker answers",
    )
    worker_token: SecretStr | None = Field(
        default=None,
        description="secret shared by the master and its workers; made and kept in the home folder if unset",
    )
    worker_urls: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="more workers to use, separated by commas, beside the registered ones"
    )
    min_sandbox: Tier = Field(
        default=Tier.LANDLOCK,
        description="weakest sandbox tier that runs accept, a floor for every plan and option: "
        "landlock, namespaces or none",
    )
    allow_unsafe_none: bool = Field(
        default=False,
        description="let local workers run code without kernel isolation; only for code you wrote yourself",
    )
    default_limits: Annotated[NamedLimits, NoDecode] = Field(
        default=(),
        description="limits of subtasks where their plan sets none: `memory_megabytes=4096, wall_seconds=600`",
    )
    limit_caps: Annotated[NamedLimits, NoDecode] = Field(
        default=(), description="the most that workers started here allow an attempt, whatever its plan asks for"
    )
    grace_seconds: float = Field(
        default=5.0,
        gt=0,
        le=DAY_SECONDS,
        allow_inf_nan=False,
        description="how long a worker may be out of reach before its attempts are lost",
    )
    no_worker_seconds: float = Field(
        default=10.0,
        gt=0,
        le=DAY_SECONDS,
        allow_inf_nan=False,
        description="how long an attempt waits when no worker can take it",
    )
    lease_seconds: float = Field(
        default=15.0,
        gt=1,
        le=DAY_SECONDS,
        allow_inf_nan=False,
        description="how long a run stays with a master that gives no sign of life",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="warning", description="what the log on stderr shows"
    )

    @field_validator("home", mode="before")
    @classmethod
    def _refuse_blank(cls, value: object) -> object:
        """An empty text is ignored, as if the variable were unset; spaces would name a folder."""
        if isinstance(value, str) and not value.strip():
            raise ValueError("the folder's name is blank; name a folder, or unset the variable")
        return value

    @field_validator("worker_token")
    @classmethod
    def _check_token(cls, value: SecretStr | None) -> SecretStr | None:
        flaw = None if value is None else flaw_of_token(value.get_secret_value())
        if flaw is not None:
            raise ValueError(flaw)
        return value

    @field_validator("worker_urls", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        """An environment variable is one text: URLs separated by commas."""
        if not isinstance(value, str):
            return value
        return tuple(one.strip() for one in value.split(",") if one.strip())

    @field_validator("default_limits", "limit_caps", mode="before")
    @classmethod
    def _read_limits(cls, value: object) -> object:
        """`NAME=VALUE`, separated by commas."""
        return read_limits(split_limits(value)) if isinstance(value, str) else value


def unknown_variables() -> dict[str, str]:
    """The variables of our prefix, here or in `.env`, that nobody reads; each with the one it may be meant for."""
    known = [f"NADG_{name.upper()}" for name in Settings.model_fields] + list(NOT_OURS)
    read = [*EnvSettingsSource(Settings).env_vars, *DotEnvSettingsSource(Settings).env_vars]
    names = {name.upper() for name in read if name.upper().startswith("NADG_")}
    return {name: next(iter(get_close_matches(name, known, 1)), "") for name in sorted(names - set(known))}
