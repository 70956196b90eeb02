"""Every setting of NADG: environment variables `NADG_…`, or a `.env` file in the current folder.

The keys of model providers go by the names that these gave them, such as `GEMINI_API_KEY`.

Only the CLI and the composition root read this; everything else is given plain values.
"""

from __future__ import annotations

import os
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AliasChoices, Field, SecretStr, field_validator
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    NoDecode,
    SettingsConfigDict,
)

from nadg.domain.master_url import checked_master_url
from nadg.domain.model_limits import NamedModelLimits, read_model_limits
from nadg.domain.model_names import NO_MODEL, checked_base_url, checked_model, flaw_of_key
from nadg.domain.named_limits import NamedLimits, read_limits, split_limits
from nadg.domain.tier import Tier
from nadg.domain.token import flaw_of_token

DAY_SECONDS = 86_400
"""The longest time that a setting may name; what is meant to be endless would be a run that never ends."""

NEAR = 0.75
"""How alike two names are where one is meant for the other, the prefix left out."""
NOT_OURS = ("NADG_PYTHON", "NADG_VENV", "NADG_FUZZ_FACTOR", "NADG_SECRET_TOKEN")
"""Variables of our prefix that are no settings: quick-start.sh reads the first two, the tests the others."""


class Settings(BaseSettings):
    """The settings; each is documented in docs/SETTINGS.md, units in the names."""

    model_config = SettingsConfigDict(
        env_prefix="NADG_",
        env_file=".env",
        env_ignore_empty=True,
        extra="ignore",
        populate_by_name=True,
        hide_input_in_errors=True,
        protected_namespaces=(),
    )

    home: Path = Field(
        default_factory=lambda: Path.home() / ".nadg",
        description="folder of the database, the blobs, the logs and the grid's token",
    )
    database_url: str = Field(
        default="", description="postgresql://… or sqlite:////… of the database; empty: SQLite in the home folder"
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
    blobs: Path | None = Field(
        default=None,
        description="folder of files by content; masters that take over each other's runs share it",
    )
    master_host: str = Field(
        default="127.0.0.1", description="address that `nadg up` listens on; others than loopback want a token"
    )
    master_port: int = Field(default=8400, ge=0, le=65535, description="port of `nadg up`; 0: any that is free")
    master_url: str = Field(
        default="", description="master that `nadg run` gives its runs to; empty: it carries them out itself"
    )
    master_token: SecretStr | None = Field(
        default=None,
        description="secret that callers of a master need; made and kept in the home folder if unset",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="warning", description="what the log of `nadg up` and `nadg run` on stderr shows"
    )
    planner: Literal["auto", "model", "builtin"] = Field(
        default="auto", description="who plans commands: auto is a model where one is configured"
    )
    model: str = Field(
        default="",
        description="language model to ask, as PROVIDER:NAME; empty: google:gemini-3.5-flash-lite where a Gemini "
        "key is set, else none is asked; none: never one",
    )
    model_fallbacks: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="models to ask, in this order, when one is down; separated by commas"
    )
    model_plan: str = Field(default="", description="model that writes plans; empty: that of NADG_MODEL")
    model_prompt: str = Field(default="", description="model that does prompt work; empty: that of NADG_MODEL")
    model_repair: str = Field(default="", description="model that mends code; empty: that of NADG_MODEL")
    model_answer: str = Field(default="", description="model that composes answers; empty: that of NADG_MODEL")
    model_style: Literal["full", "small"] = Field(
        default="full", description="how much is asked of a model; small fits small local ones"
    )
    model_limits: Annotated[tuple[NamedModelLimits, ...], NoDecode] = Field(
        default=(), description="what providers allow of each model, by minute and by day"
    )
    model_timeout_seconds: float = Field(
        default=120.0,
        gt=0,
        le=DAY_SECONDS,
        allow_inf_nan=False,
        description="how long a model may be silent before a request counts as failed",
    )
    model_concurrency: int = Field(
        default=16, ge=1, le=1024, description="requests of prompt work that a run has under way at a time"
    )
    google_base_url: str = Field(default="", description="address of the Gemini API; empty: Google's own")
    openai_base_url: str = Field(
        default="",
        validation_alias=AliasChoices("NADG_OPENAI_BASE_URL", "OPENAI_BASE_URL"),
        description="address of whoever speaks OpenAI's API; empty: OpenAI's own; OPENAI_BASE_URL counts too",
    )
    google_api_key: SecretStr | None = Field(
        default=None, validation_alias="GOOGLE_API_KEY", description="key of the Gemini API; wins over the next"
    )
    gemini_api_key: SecretStr | None = Field(
        default=None, validation_alias="GEMINI_API_KEY", description="key of the Gemini API"
    )
    openai_api_key: SecretStr | None = Field(
        default=None, validation_alias="OPENAI_API_KEY", description="key of whoever speaks OpenAI's API"
    )

    @field_validator("home", "blobs", mode="before")
    @classmethod
    def _refuse_blank(cls, value: object) -> object:
        """An empty text is ignored, as if the variable were unset; spaces would name a folder."""
        if isinstance(value, str) and not value.strip():
            raise ValueError("the folder's name is blank; name a folder, or unset the variable")
        return value

    @field_validator("worker_token", "master_token")
    @classmethod
    def _check_token(cls, value: SecretStr | None) -> SecretStr | None:
        flaw = None if value is None else flaw_of_token(value.get_secret_value())
        if flaw is not None:
            raise ValueError(flaw)
        return value

    @field_validator("google_api_key", "gemini_api_key", "openai_api_key")
    @classmethod
    def _check_key(cls, value: SecretStr | None) -> SecretStr | None:
        flaw = None if value is None else flaw_of_key(value.get_secret_value())
        if flaw is not None:
            raise ValueError(flaw)
        return value

    @field_validator("model", "model_plan", "model_prompt", "model_repair", "model_answer")
    @classmethod
    def _check_model(cls, value: str) -> str:
        return value if value in ("", NO_MODEL) else checked_model(value)

    @field_validator("model_fallbacks")
    @classmethod
    def _check_fallbacks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(checked_model(one) for one in value)

    @field_validator("model_limits", mode="before")
    @classmethod
    def _read_model_limits(cls, value: object) -> object:
        """Text such as `google:gemini-3.5-flash-lite requests_per_minute=60; …`."""
        return read_model_limits(value) if isinstance(value, str) else value

    @field_validator("google_base_url", "openai_base_url")
    @classmethod
    def _check_base_url(cls, value: str) -> str:
        return checked_base_url(value) if value else value

    @field_validator("master_url")
    @classmethod
    def _check_master_url(cls, value: str) -> str:
        return checked_master_url(value) if value else value

    @field_validator("worker_urls", "model_fallbacks", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        """An environment variable is one text: values separated by commas."""
        if not isinstance(value, str):
            return value
        return tuple(one.strip() for one in value.split(",") if one.strip())

    @field_validator("default_limits", "limit_caps", mode="before")
    @classmethod
    def _read_limits(cls, value: object) -> object:
        """`NAME=VALUE`, separated by commas."""
        return read_limits(split_limits(value)) if isinstance(value, str) else value


def variable_of(name: str) -> str:
    """The environment variable that the docs name for a setting; raises KeyError where there is none."""
    alias = Settings.model_fields[name].validation_alias
    if isinstance(alias, AliasChoices):
        return str(alias.choices[0])
    return alias if isinstance(alias, str) else f"NADG_{name.upper()}"


def unknown_variables() -> dict[str, str]:
    """The variables of our prefix, here or in `.env`, that nobody reads; each with the one it may be meant for."""
    known = {name.upper() for name in Settings.model_fields}
    read = [*EnvSettingsSource(Settings).env_vars, *DotEnvSettingsSource(Settings).env_vars]
    names = {name.upper() for name in read if name.upper().startswith("NADG_")} - set(NOT_OURS)
    unknown = sorted({name.removeprefix("NADG_") for name in names} - known)
    near = {name: get_close_matches(name, known, 1, NEAR) for name in unknown}
    return {f"NADG_{name}": f"NADG_{found[0]}" if found else "" for name, found in near.items()}
