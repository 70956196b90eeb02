"""What a database is and how far its tables are, without making or changing anything."""

from __future__ import annotations

from pathlib import Path

import msgspec
from sqlalchemy.exc import DBAPIError

from nadg.store import dialect
from nadg.store.schema import REVISIONS, version_of

BUSY_SECONDS = 5.0


class DatabaseState(msgspec.Struct, frozen=True, kw_only=True):
    """As it was found."""

    name: str
    """A file, or the server with the database; never a password."""
    kind: str
    version: str
    """Of the tables; empty where there are none yet."""
    newest: str
    """The version that this NADG makes."""

    @property
    def fits(self) -> bool:
        return self.version == self.newest


def look_at(url_or_path: str | Path) -> DatabaseState:
    """Connect and look; blocks for some seconds at most where the database is away.

    Raises UserError for an address that means none, for a database of something else, and for one that a
    newer NADG made; StoreUnavailable where it does not answer.
    """
    place = dialect.locate(url_or_path)
    name, kind = place.name, place.url.get_backend_name()
    file = Path(place.url.database or "")
    if kind == "sqlite" and not file.exists() and not (place.url.database or "").startswith("file:"):
        return DatabaseState(name=name, kind=kind, version="", newest=REVISIONS[-1])
    reader = place.open_reader(BUSY_SECONDS, 1)
    try:
        with place.bounded(), reader.connect() as connection:
            found = version_of(connection)
    except DBAPIError as error:
        raise place.explain_open(error) from error
    finally:
        reader.dispose()
        place.close()
    return DatabaseState(name=name, kind=kind, version=found or "", newest=REVISIONS[-1])
