"""The home folder: where the database, the blobs, the logs and the grid's token live."""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
from pathlib import Path

from pydantic import SecretStr

from nadg.domain.errors import UserError
from nadg.domain.token import flaw_of_token
from nadg.settings import Settings

FOR_OTHERS = 0o077
"""The rights of a file's group and of everyone else."""
OWN_NAMES = ("nadg.db", "worker.token", "master.token", "blobs", "logs", "workers")
"""How the names begin of what NADG keeps in its home."""


class Home:
    """Paths below one folder, made on first use and readable by their owner alone."""

    def __init__(self, settings: Settings) -> None:
        self.folder = settings.home.expanduser().absolute()
        self._settings = settings
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise UserError(
                f"NADG_HOME={self.folder}: cannot be made ({error.strerror}); name a writable folder"
            ) from error
        close_to_others(self.folder)
        if not os.access(self.folder, os.W_OK | os.X_OK):
            raise UserError(f"NADG_HOME={self.folder}: cannot be written to; name a writable folder")

    @property
    def database(self) -> str | Path:
        """The configured URL, or the SQLite file here.

        Raises UserError where that is none, without showing it: it may hold a password.
        """
        url = self._settings.database_url
        if not url:
            return self.folder / "nadg.db"
        if "://" not in url:
            raise UserError("NADG_DATABASE_URL: is not a URL; write sqlite:////folder/file.db or postgresql://…")
        from nadg.store.dialect import locate  # here: a worker, which has a home too, loads no database

        try:
            locate(url)
        except UserError as error:
            raise UserError(f"NADG_DATABASE_URL: {error}") from error
        return url

    @property
    def blobs(self) -> Path:
        """The configured folder, which several masters may share, or one here."""
        shared = self._settings.blobs
        if shared is None:
            return self._made("blobs")
        folder = shared.expanduser().absolute()
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise UserError(
                f"NADG_BLOBS={folder}: cannot be made ({error.strerror}); name a writable folder"
            ) from error
        return folder

    @property
    def logs(self) -> Path:
        return self._made("logs")

    @property
    def workers(self) -> Path:
        """Below it, one folder per local worker."""
        return self._made("workers")

    @property
    def token_file(self) -> Path:
        """Where the grid's secret is kept, unless it is configured."""
        return self.folder / "worker.token"

    @property
    def master_token_file(self) -> Path:
        """Where the secret of this home's master is kept, unless it is configured."""
        return self.folder / "master.token"

    def worker_token(self) -> str:
        """The grid's secret: the configured one, or one made here once. Several processes may race for it."""
        return self._token(self._settings.worker_token, self.token_file)

    def master_token(self) -> str:
        """The secret of this home's master: the configured one, or one made here once."""
        return self._token(self._settings.master_token, self.master_token_file)

    def _token(self, configured: SecretStr | None, file: Path) -> str:
        if configured is not None:
            return configured.get_secret_value()
        try:
            if not file.exists():
                self._create_token(file)
            token = file.read_text(errors="replace").strip()
        except OSError as error:
            raise self._unusable(file, error) from error
        if not token:
            raise UserError(f"{file} is empty; delete it, and a new token is made")
        if flaw := flaw_of_token(token):
            raise UserError(f"{file}: {flaw}, or delete the file, and a new one is made")
        return token

    def _create_token(self, target: Path) -> None:
        fresh = self.folder / f"{target.name}.{secrets.token_hex(4)}"
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w") as file:
                file.write(secrets.token_urlsafe(32))
            with contextlib.suppress(FileExistsError):
                os.link(fresh, target)
        finally:
            fresh.unlink()

    def _made(self, name: str) -> Path:
        path = self.folder / name
        try:
            path.mkdir(exist_ok=True, mode=0o700)
        except OSError as error:
            raise self._unusable(path, error) from error
        return path

    def _unusable(self, path: Path, error: OSError) -> UserError:
        return UserError(
            f"NADG_HOME={self.folder}: {path.name} cannot be used ({error.strerror}); mend or move it"
        )


def close_to_others(folder: Path) -> None:
    """Let nobody but its owner into the home, saying so where that is new.

    Raises UserError where the folder is another user's, or holds what may be meant for others: a shared
    folder such as /tmp is not ours to close.
    """
    found = folder.stat()
    if found.st_uid != os.geteuid():
        raise UserError(
            f"NADG_HOME={folder}: belongs to another user, who could read every plan and the token; "
            "name a folder of your own"
        )
    if not found.st_mode & FOR_OTHERS:
        return
    try:
        foreign = sorted(one.name for one in folder.iterdir() if not one.name.startswith(OWN_NAMES))
        if foreign:
            raise UserError(
                f"NADG_HOME={folder}: other users may enter it, and it holds {foreign[0]!r}, which is not NADG's; "
                f"name a folder for NADG alone, or close this one: chmod 700 {folder}"
            )
        folder.chmod(0o700)
    except OSError as error:
        raise UserError(
            f"NADG_HOME={folder}: other users may enter it, and it cannot be closed to them ({error.strerror}); "
            "name another folder"
        ) from error
    print(f"NADG_HOME={folder} was open to other users; now only you may enter it", file=sys.stderr, flush=True)
